"""The human form of `fintts estimate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from fintts_cli.views.estimate.text import estimate_text
from fintts_cost.estimate.inputs import EstimateInput
from fintts_cost.estimate.result import estimate
from fintts_cost.gpus.accelerators import find
from fintts_cost.gpus.memory import MemoryModel
from fintts_cost.money import Price
from fintts_cost.plan.candidate import Candidate
from fintts_cost.plan.launch import plan_launch
from fintts_cost.plan.reserve import Reserve
from fintts_cost.reference.notes import reference_notes
from fintts_cost.reference.run import REFERENCE_MEMORY, REFERENCE_RUN
from fintts_cost.training.loss_levels import Head

Golden = Callable[[str, str], None]

SMALL_RUN = EstimateInput(
    samples=115,
    batch_size=4,
    max_steps=600,
    seconds_per_step=0.31,
    price=Price(Decimal("0.4375"), "catalog", "2026-08-01"),
    validation_every=25,
    seconds_per_validation=1.5,
    checkpoint_every=25,
    checkpoint_bytes=213_456,
    keep_last=10,
    patience=3,
    setup_seconds=90,
    teardown_seconds=30,
    heads=(Head("vocabulary", 700), Head("codebook", 512)),
)


def text_of(run: EstimateInput, **fields: object) -> str:
    return explained(replace(run, **fields))  # type: ignore[arg-type]  # the fields of one test each


def explained(run: EstimateInput, *, title: str = "A run", **changes: Any) -> str:
    return estimate_text(Candidate("A100:1", estimate(run)), title=title, explain=True, **changes)


def test_the_reference_run(golden: Golden) -> None:
    title = "The reference run: 2,000 samples on one A100-80GB"
    text = explained(REFERENCE_RUN, title=title, notes=reference_notes(), is_reference=True)
    golden("estimate_reference_run.txt", text + "\n")


def test_a_small_run(golden: Golden) -> None:
    text = explained(SMALL_RUN, title="kalevala: 115 samples on one A10G")
    golden("estimate_small_run.txt", text + "\n")


@pytest.mark.parametrize(
    ("run", "columns"),
    [
        (REFERENCE_RUN, 80),
        (SMALL_RUN, 80),
        (replace(SMALL_RUN, max_steps=1, patience=None), 80),
        (replace(SMALL_RUN, gradient_accumulation=3, samples=12, batch_size=4), 80),
        (replace(REFERENCE_RUN, samples=10**5, max_steps=10**5, steps=99_999), 80),
        (replace(REFERENCE_RUN, samples=8, max_steps=10**9, steps=None), 100),
        (replace(REFERENCE_RUN, samples=10**9, max_steps=10**9, keep_last=100_000), 100),
    ],
)
def test_it_fits_the_terminal_and_leaves_nothing_hanging(run: EstimateInput, columns: int) -> None:
    lines = text_of(run).splitlines()
    assert len(lines) < 120
    for line in lines:
        assert len(line) <= columns, line
        assert line == line.rstrip()


def test_few_epochs_are_all_shown_and_many_are_folded() -> None:
    fourteen = text_of(REFERENCE_RUN, max_steps=3500, steps=None)
    fifteen = text_of(REFERENCE_RUN, max_steps=3501, steps=None)
    assert "3,251 – 3,500" in fourteen
    assert "…" not in fourteen
    assert "…" in fifteen
    assert "1,751 – 2,000" not in fifteen
    assert "3,501 – 3,501      1  partial" in fifteen


def test_a_patience_that_outlasts_what_is_kept_is_told() -> None:
    sentence = "the best one just as the run stops"
    assert "fintts keeps it beyond them" in text_of(REFERENCE_RUN)
    assert "set keep_best to keep it" in text_of(REFERENCE_RUN, keep_best=False)
    assert sentence not in text_of(REFERENCE_RUN, keep_last=6)
    assert sentence not in text_of(REFERENCE_RUN, patience=None)


def test_a_stop_that_the_rule_does_not_allow_is_told() -> None:
    sentence = "comes before early stopping can fire"
    assert f"step 300 {sentence}" in text_of(REFERENCE_RUN, steps=300)
    assert sentence not in text_of(REFERENCE_RUN)
    assert "cannot fire before step 9,900" in text_of(REFERENCE_RUN, patience=98)


def test_without_early_stopping() -> None:
    text = text_of(REFERENCE_RUN, patience=None)
    assert "off: the run continues to its last step" in text
    assert "checks × " not in text.split("── Early")[1].split("── Check")[0]


def test_a_figure_that_was_not_measured_is_called_uncalibrated() -> None:
    without = text_of(SMALL_RUN)
    assert "GPU memory" not in without
    assert "calibrated" not in without
    computed = text_of(SMALL_RUN, memory=REFERENCE_MEMORY)
    assert "uncalibrated means computed from sizes alone" in computed
    measured = REFERENCE_MEMORY.calibrate(55 * 10**9, 8)
    text = text_of(SMALL_RUN, memory=measured)
    assert "calibrated: 4 × 6,250 MB" in text
    assert "uncalibrated" not in text


def test_a_batch_that_does_not_fit_is_marked() -> None:
    measured = REFERENCE_MEMORY.calibrate(55 * 10**9, 8)
    text = text_of(REFERENCE_RUN, memory=measured, accelerator=find("H200"))
    assert "! 105.0 GB" not in text
    assert "! 205.0 GB" in text
    assert "! exceeds the 141 GB of H200" in text


def test_a_run_that_ends_between_two_checkpoints_saves_at_its_end() -> None:
    text = text_of(REFERENCE_RUN, max_steps=50, steps=None)
    assert "written      1, every 100 steps and at the end" in text
    assert "kept         50\n" in text


def test_the_rate_is_shown_as_it_is() -> None:
    assert "$0.4375 an hour, from: catalog, as of 2026-08-01" in text_of(SMALL_RUN)
    assert "$2.00 an hour" in text_of(SMALL_RUN, price=Price(Decimal(2)))
    assert "$0.00 an hour" in text_of(SMALL_RUN, price=Price(Decimal(0)))
    assert "$1,000.00 an hour" in text_of(SMALL_RUN, price=Price(Decimal(1000)))


def test_notes_come_before_the_headline_and_are_wrapped() -> None:
    text = explained(SMALL_RUN, notes=["word " * 40])
    notes = text.split("── Notes")[1].split("\n\n")[0].splitlines()[1:]
    assert notes[0].startswith("  · word")
    assert len(notes) == 3
    assert "Notes" not in text_of(SMALL_RUN)


def test_how_often_each_sample_is_seen() -> None:
    assert "22,400 samples seen, each 11 or 12 times, 11.2 on average" in text_of(REFERENCE_RUN)
    assert "24,000 samples seen, each 12 times\n" in text_of(REFERENCE_RUN, steps=None)


def test_a_small_model_s_memory_is_in_megabytes() -> None:
    tiny = MemoryModel(2_000_000, 100_000, 100_000, 200_000, sample_bytes=1_500_000)
    text = text_of(SMALL_RUN, memory=tiny)
    assert "+ 2.4 MB of weights, adapter, gradients and optimizer = 8.4 MB" in text
    assert "0.0 GB" not in text


FORECAST = replace(
    REFERENCE_RUN,
    seconds_per_step=0.5,
    fast_seconds_per_step=0.2,
    slow_seconds_per_step=5.0,
    seconds_per_step_source="forecast of a test",
    pace_kind="forecast",
    tokens_per_step=3200.0,
    steps=None,
)
NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


def summary(candidate: Candidate, budget_usd: Decimal | None = None) -> list[str]:
    plan = None
    if budget_usd is None or candidate.cost_usd <= budget_usd:
        plan = plan_launch([candidate], budget_usd, Reserve.on_demand())
    text = estimate_text(candidate, title="A run", budget_usd=budget_usd, plan=plan, now=NOON)
    return text.splitlines()


def headline_of(lines: list[str]) -> str:
    return " ".join(lines[len(lines) - lines[::-1].index("") :])


def test_a_summary_fits_a_screen_and_ends_with_what_decides() -> None:
    lines = summary(Candidate("A100:1", estimate(FORECAST)), Decimal(10))
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 78
    # 0.2, 0.5 and 5 s × 3,000 at $1.20 an hour, with 30 checks of 30 s.
    assert headline_of(lines) == (
        "$0.50 to $5.30, most likely $0.80 (40 min); never more than your $10; ends by 20:20 UTC "
        "at the latest"
    )
    text = " ".join(" ".join(lines).split())
    assert "0.50 s (0.20 to 5.0 s; 160 µs a token): no run of yours has measured it;" in text
    assert "budget fits, 8% of $10" in text


def test_a_budget_bounds_the_high_end() -> None:
    candidate = Candidate("A100:1", estimate(FORECAST))
    assert "$0.50 to $3, most" in headline_of(summary(candidate, Decimal(3)))
    over = headline_of(summary(candidate, Decimal("0.5")))
    assert "$0.50 to $5.30" in over
    assert over.endswith("over your $0.50")


def test_a_spot_run_that_its_preemptions_take_over_the_budget_is_said_not_to_fit() -> None:
    """The summary and its last line are of one opinion, with preemptions and without."""
    on_spot = Candidate("A100:1", estimate(replace(FORECAST, setup_seconds=600)), spot=True)
    between = (on_spot.cost_usd + Decimal(str(on_spot.expected_usd))) / 2
    for candidate in (on_spot, on_spot._replace(spot=False)):
        lines = summary(candidate, between)
        fits = candidate.expected_usd <= between
        assert ("does not fit your $" not in headline_of(lines)) is fits
        assert ("budget fits, " in " ".join(" ".join(lines).split())) is fits


def test_a_bill_for_a_pace_that_is_known_has_all_digits() -> None:
    lines = summary(Candidate("A100:1", estimate(REFERENCE_RUN)))
    assert headline_of(lines).startswith("$5.32 and 4 h 26 min, if it stops at step 2,800; $5.70")


def test_preemptions_are_said_and_added() -> None:
    on_spot = Candidate("A100:1", estimate(replace(FORECAST, setup_seconds=600)), spot=True)
    text = " ".join(" ".join(summary(on_spot)).split())
    assert "preemptions expected" in text
    assert "an assumption" in text
    assert on_spot.expected_usd > float(on_spot.cost_usd)


def test_a_run_on_a_machine_of_ones_own_is_told_in_hours() -> None:
    free = Candidate("", estimate(replace(FORECAST, price=Price(Decimal(0), "this machine"))))
    assert headline_of(summary(free)).startswith("25 min to 4.4 h, most likely 40 min; no GPU")


def test_what_a_run_speaks_is_a_line_of_its_bill() -> None:
    assert "samples  " not in text_of(SMALL_RUN)
    shown = text_of(SMALL_RUN, samples_every=2, seconds_per_samples=30)
    assert "13 × at most 30 s" in shown
