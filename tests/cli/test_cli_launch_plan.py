"""The deadline that a budget buys, and what is refused or warned about beforehand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fintts_cli.errors import OverBudget
from fintts_cli.launch_plan import last_step_within, plan_launch, plan_resumption
from fintts_cli.run_start import make_name
from fintts_cost.bill import Estimate, EstimateInput, estimate
from fintts_cost.reference_run import REFERENCE_RUN
from run_samples import START


def made(**changes: object) -> Estimate:
    """100 steps of 36 s at $1 an hour are $1, with 60 s of set-up and teardown each."""
    numbers: dict[str, object] = {
        "samples": 100,
        "max_steps": 100,
        "seconds_per_step": 36,
        "hourly_rate_usd": Decimal(1),
        "setup_seconds": 60,
        "teardown_seconds": 60,
        "patience": None,
        "validation_every": 10,
        "seconds_per_validation": 0,
    }
    return estimate(EstimateInput(**(numbers | changes)))  # type: ignore[arg-type]  # as typed above


def test_a_budget_lasts_until_the_deadline_and_pays_for_the_teardown() -> None:
    plan = plan_launch(made(), Decimal("2"), START)
    assert plan.deadline_at == START + timedelta(hours=2) - timedelta(seconds=60)
    assert plan.cut_at_step is None
    assert plan.warnings == []
    assert "$2.00 lasts until then" in plan.deadline_sentence


def test_without_a_budget_the_deadline_is_generous_and_says_so() -> None:
    plan = plan_launch(made(), None, START)
    worst = 3600 + 120
    assert plan.deadline_at == START + timedelta(seconds=1.5 * worst + 600 - 60)
    assert "--budget" in plan.deadline_sentence


def test_an_expected_cost_over_the_budget_is_refused_with_what_would_fit() -> None:
    with pytest.raises(OverBudget) as caught:
        plan_launch(made(), Decimal("1"), START)
    assert "expected to cost $1.03, more than the budget of $1.00" in caught.value.message
    assert "training.max_steps to 96 or less" in caught.value.hint
    assert caught.value.exit_code == 3
    with pytest.raises(OverBudget) as hopeless:
        plan_launch(made(), Decimal("0.01"), START)
    assert "--hourly-rate" in hopeless.value.hint


def test_a_worst_case_over_the_budget_says_where_it_is_cut() -> None:
    plan = plan_launch(made(steps=50), Decimal("1"), START)
    assert plan.cut_at_step == 96
    (warning,) = plan.warnings
    assert "a run to step 100 would cost $1.03" in warning
    assert "step 96" in warning


def test_an_instance_that_costs_nothing_is_not_limited_by_a_budget() -> None:
    plan = plan_launch(made(hourly_rate_usd=Decimal(0)), Decimal("1"), START)
    assert plan.cut_at_step is None
    assert plan.deadline_at > START + timedelta(hours=1)


def test_a_run_that_goes_on_has_what_is_left_of_the_budget() -> None:
    plan = plan_resumption(made(), Decimal("2"), Decimal("1.5"), START)
    assert plan.deadline_at == START + timedelta(minutes=30) - timedelta(seconds=60)
    with pytest.raises(OverBudget, match=r"\$1\.99 of the budget of \$2\.00 are spent"):
        plan_resumption(made(), Decimal("2"), Decimal("1.99"), START)
    free = plan_resumption(made(), None, Decimal("9"), START)
    assert free.deadline_at == plan_launch(made(), None, START).deadline_at


@given(st.decimals(min_value=Decimal("0.01"), max_value=Decimal(100), places=2))
def test_the_last_affordable_step_is_affordable_and_the_next_is_not(budget: Decimal) -> None:
    reference = estimate(REFERENCE_RUN)
    seconds = budget * 3600 / REFERENCE_RUN.price.hourly_rate_usd
    step = last_step_within(reference, seconds)
    if step:
        assert REFERENCE_RUN.durations(step).total_seconds <= seconds
    if step < reference.worst.stop_step:
        assert REFERENCE_RUN.durations(step + 1).total_seconds > seconds


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/speech/kalevala/data", "kalevala-20261123-a1b2"),
        ("/speech/Ääni & Puhe", "ni-puhe-20261123-a1b2"),
        ("/speech/___", "run-20261123-a1b2"),
        ("/speech/" + "x" * 60, "x" * 24 + "-20261123-a1b2"),
    ],
)
def test_a_run_is_named_by_its_data_and_the_day(folder: str, name: str) -> None:
    assert make_name(Path(folder), date(2026, 11, 23), "a1b2") == name
    assert len(name) <= 40
