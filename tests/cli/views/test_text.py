"""What runs and reports look like, read once and kept as golden files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.report.kept import kept_of
from fintts_cli.runs.report.report import RunReport, build_report
from fintts_cli.runs.status.merge import view_run
from fintts_cli.views.report.comparison import render_comparison
from fintts_cli.views.report.text import render_report
from fintts_cli.views.status.curve import plot
from fintts_cli.views.status.runs import COLUMNS, render_live_line, render_runs
from fintts_cli.views.units import counted, duration, size
from fintts_cost.money import dollars
from run_samples import MINUTE, START, manifest, metrics, record, result, status

NOW = START + 30 * MINUTE
GONE = InstanceView("pid 7", is_live=False, created_at=START, ended_at=START + 21 * MINUTE)


@pytest.fixture(autouse=True)
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A laptop's own zone is nowhere to be seen."""
    import time

    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Pacific/Auckland")
        time.tzset()
        yield
    time.tzset()


def report() -> RunReport:
    manifests = [manifest(900, 4.4), manifest(1300, 5.2), manifest(1400, 5.4)]
    asked = record(budget_usd=Decimal("2.00"))
    return build_report(
        view_run(asked, status(), result(), GONE, NOW),
        result(),
        metrics(),
        kept_of(record(), manifests),
        NOW,
        uniform_guesses={"token": 7.0229, "code": 3.0},
    )


def test_a_report_puts_estimate_and_actual_beside_each_other(
    golden: Callable[[str, str], None],
) -> None:
    golden("cli_report.txt", render_report(report()) + "\n")


def test_the_reports_document_has_the_contracts_keys() -> None:
    document = json.loads(json.dumps(report().to_json()))
    contract = {
        "stop_reason", "step", "best_step", "best_value", "kept_steps", "phase_seconds",
        "samples_seen", "claims", "billed_seconds", "cost_usd", "estimated_cost_usd",
        "hourly_rate_usd", "price_source", "prompt",
    }  # fmt: skip
    assert contract <= set(document)
    assert document["billed_seconds"] == 21 * 60
    assert document["cost_usd"] == 0.42
    assert document["difference_usd"] == -0.08
    training = document["phases"]["training"]
    assert training["estimated_seconds"] == 1200.0
    assert training["actual_seconds"] == 560.0
    assert training["difference_seconds"] == -640.0
    # The ten seconds before the trainer started, and the minute after it ended, are billed too.
    assert document["phases"]["setup"]["actual_seconds"] == 35.0
    assert document["phases"]["teardown"]["actual_seconds"] == 61.5
    assert [(c["step"], c["reasons"]) for c in document["checkpoints"]] == [
        (900, ["best"]),
        (1300, ["last"]),
        (1400, ["last"]),
    ]


def test_after_a_preemption_the_trainer_s_own_figures_stand() -> None:
    """The seconds around them are the last instance's alone."""
    twice = result(claims=2)
    view = view_run(record(), status(), twice, GONE, NOW)
    document = build_report(view, twice, [], kept_of(record(), []), NOW).to_json()
    assert isinstance(document["phases"], dict)
    assert document["phases"]["setup"]["actual_seconds"] == 25.0
    assert document["phases"]["teardown"]["actual_seconds"] == 1.5


def test_a_run_that_goes_on_has_a_report_too() -> None:
    live = InstanceView("pid 7", is_live=True, created_at=START)
    view = view_run(record(estimate={}), status(), None, live, START + 10 * MINUTE)
    made = build_report(view, None, [], kept_of(record(), []), NOW)
    text = render_report(made)
    assert "training at step 1000 of 3000" in text
    assert "Checkpoints: none" in text
    assert made.to_json()["billed_seconds"] == 600
    assert made.to_json()["estimated_cost_usd"] is None


def test_the_table_of_runs(golden: Callable[[str, str], None]) -> None:
    live = InstanceView("pid 8", is_live=True, created_at=START)
    later = record(run="other-2", created_at=START + 5 * MINUTE, infra="aws/us-east-1")
    views = [
        view_run(later, None, None, InstanceView(), NOW),
        view_run(record(), status(updated_at=NOW), None, live, NOW),
        view_run(record(run="old"), status(), result(), GONE, NOW),
        view_run(record(run="lost"), status(), None, GONE, NOW),
    ]
    golden("cli_ps.txt", render_runs(views, NOW) + "\n")


@pytest.mark.parametrize("width", [80, 50, 20])
def test_the_table_of_runs_fits_and_names_what_it_drops(width: int) -> None:
    live = InstanceView("pid 8", is_live=True, created_at=START)
    trouble = record(run="other-2", created_at=START)
    views = [
        view_run(
            trouble, status(updated_at=NOW, message="the store is slow " * 9), None, live, NOW
        ),
        view_run(record(), status(updated_at=NOW), None, live, NOW),
    ]
    text = render_runs(views, NOW, width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "not shown here: " in words
    shown, dropped = words.split("not shown here: ")
    assert [name for name in COLUMNS if name not in dropped.split(";")[0].split(", ")] == [
        name for name in COLUMNS if f"{name} " in shown.split("kalevala-1")[0].split("other-2")[0]
    ]
    assert "$ SO FAR" in shown


@pytest.mark.parametrize("width", [100, 80, 60])
def test_compared_runs_fit_and_name_what_they_drop(width: int) -> None:
    text = render_comparison([report(), report()], width)
    assert max(map(len, text.splitlines())) <= width
    assert "not shown here: " in text
    assert "COST" in text.splitlines()[0]
    assert "BEST" in text.splitlines()[0]
    assert "not shown here" not in render_comparison([report(), report()])


def test_no_runs_are_said_in_words() -> None:
    assert render_runs([], NOW) == "no runs yet"


def test_the_live_line_says_what_the_contract_names() -> None:
    live = InstanceView("pid 8", is_live=True, created_at=START)
    now = START + 10 * MINUTE
    line = render_live_line(view_run(record(), status(), None, live, now), now)
    assert line == (
        "kalevala-1 · training · step 1000/3000 · loss 4.2500 · best 4.4000 @ 900 · "
        "ETA 15 min 00 s · $0.20 so far · $0.31 to go · deadline 10:00 UTC"
    )


def test_a_curve_falls_from_left_to_right() -> None:
    lines = plot([(step, 10.0 - step / 10) for step in range(1, 100)], width=20, height=3)
    assert len(lines) == 4
    assert lines[0].startswith(" 9.") or "┤█" in lines[0]
    top, bottom = lines[0].split("┤")[1], lines[2].split("┤")[1]
    assert top[0] == "█"
    assert len(top) < 20
    assert bottom[-1] != " "
    assert "step 1" in lines[3]
    assert "step 99" in lines[3]


def test_a_stretched_curve_joins_its_points() -> None:
    lines = plot([(0, 8.0), (50, 0.0), (100, 4.0)], width=9, height=2, stretched=True)
    assert lines[:2] == ["8.0000 ┤█▄▁     ▁", "0.0000 ┤███▅▁▃▅▇█"]


def test_a_curve_leaves_out_what_is_no_number() -> None:
    assert plot([(1, float("nan")), (2, 1.0)]) == []
    assert plot([]) == []
    flat = plot([(1, 2.0), (2, 2.0), (3, float("inf"))])
    assert flat[0].startswith("2.0000 ┤")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("5.324", "$5.32"),
        ("0.01", "$0.01"),
        ("0.00996", "$0.01"),
        ("0.008", "$0.008"),
        ("0.0041234", "$0.0041"),
        ("0.0000000123", "$0.000000012"),
        ("0", "$0.00"),
        ("-0.001", "$0.00"),
        ("1234.5", "$1,234.50"),
    ],
)
def test_dollars_are_shown_to_the_cent_and_less_to_two_digits(amount: str, text: str) -> None:
    assert dollars(Decimal(amount)) == text


def test_what_is_one_is_not_many() -> None:
    assert [counted(n, "step") for n in (0, 1, 2000)] == ["0 steps", "1 step", "2,000 steps"]


def test_units_are_readable() -> None:
    assert [duration(seconds) for seconds in (0.0, 59.94, 61, 15960, None)] == [
        "0.0 s",
        "59.9 s",
        "1 min 01 s",
        "4 h 26 min",
        "–",
    ]
    assert [size(count) for count in (999, 47_000_000, 3_500_000_000)] == [
        "999 B",
        "47.0 MB",
        "3.5 GB",
    ]


SOURCES = ("cli", "inputs", "cost", "store", "remote_trainer", "task_templates")


def test_every_time_of_day_that_is_said_is_in_utc_and_says_so() -> None:
    top = Path(__file__).parents[3]
    lines = [
        (path.name, line)
        for source in SOURCES
        for path in (top / source).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    said = [one for one in lines if "%H:" in one[1]]
    assert len(said) >= 8
    assert [one for one in said if "UTC" not in one[1] and "%SZ" not in one[1]] == []
    assert [one for one in lines if "astimezone()" in one[1]] == []
