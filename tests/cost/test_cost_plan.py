"""The deadline that a budget buys, and what is refused or warned about beforehand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fintts_cli.run_start import make_name
from fintts_cost.bill import Estimate, EstimateInput, estimate
from fintts_cost.errors import OverBudget
from fintts_cost.plan import Choice, last_step_within, plan_launch, plan_resumption
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


def on(estimate: Estimate, gpus: str = "A100-80GB:1") -> Choice:
    return Choice(gpus, estimate)


def test_a_budget_lasts_until_the_deadline_and_pays_for_the_teardown() -> None:
    plan = plan_launch([on(made())], Decimal("2"), START)
    assert plan.deadline_at == START + timedelta(hours=2) - timedelta(seconds=60)
    assert plan.first.cut_at_step is None
    assert plan.warnings == []
    assert "$2.00 lasts until then" in plan.deadline_sentence


def test_without_a_budget_the_deadline_is_generous_and_says_so() -> None:
    plan = plan_launch([on(made())], None, START)
    worst = 3600 + 120
    assert plan.deadline_at == START + timedelta(seconds=1.5 * worst + 600 - 60)
    assert "--budget" in plan.deadline_sentence


def test_an_expected_cost_over_the_budget_is_refused_with_what_would_fit() -> None:
    with pytest.raises(OverBudget) as caught:
        plan_launch([on(made())], Decimal("1"), START)
    assert "expected to cost $1.03, more than the budget of $1.00" in caught.value.message
    assert "training.max_steps to 96 or less" in caught.value.hint
    with pytest.raises(OverBudget) as hopeless:
        plan_launch([on(made())], Decimal("0.01"), START)
    assert "--hourly-rate" in hopeless.value.hint


def test_a_worst_case_over_the_budget_says_where_it_is_cut() -> None:
    plan = plan_launch([on(made(steps=50))], Decimal("1"), START)
    assert plan.first.cut_at_step == 96
    (warning,) = plan.warnings
    assert "a run to step 100 would cost $1.03" in warning
    assert "step 96" in warning


def test_an_instance_that_costs_nothing_is_not_limited_by_a_budget() -> None:
    plan = plan_launch([on(made(hourly_rate_usd=Decimal(0)))], Decimal("1"), START)
    assert plan.first.cut_at_step is None
    assert plan.deadline_at > START + timedelta(hours=1)


def test_a_run_that_goes_on_has_what_is_left_of_the_budget() -> None:
    plan = plan_resumption([on(made())], Decimal("2"), Decimal("1.5"), START)
    assert plan.deadline_at == START + timedelta(minutes=30) - timedelta(seconds=60)
    with pytest.raises(OverBudget, match=r"\$1\.99 of the budget of \$2\.00 are spent"):
        plan_resumption([on(made())], Decimal("2"), Decimal("1.99"), START)
    free = plan_resumption([on(made())], None, Decimal("9"), START)
    assert free.deadline_at == plan_launch([on(made())], None, START).deadline_at


SLOW = on(made())
"""$1.03 for 62 minutes"""
QUICK = on(made(seconds_per_step=12, hourly_rate_usd=Decimal(2)), "H100:1")
"""$0.73 for 22 minutes"""


def test_of_several_gpus_the_cheapest_run_comes_first_and_the_dearest_sets_the_deadline() -> None:
    plan = plan_launch([SLOW, QUICK], Decimal(4), START)
    assert [each.gpus for each in plan.choices] == ["H100:1", "A100-80GB:1"]
    assert plan.estimate is QUICK.estimate
    assert plan.deadline_at == START + timedelta(hours=2) - timedelta(seconds=60)
    assert "on the dearest of them" in plan.deadline_sentence
    assert plan.warnings == []
    assert [each.price.hourly_rate_usd for each in plan.terms] == [Decimal(2), Decimal(1)]


def test_a_gpu_that_would_be_cut_short_by_the_common_deadline_is_left_out() -> None:
    """An hour and two minutes at $2 an hour are $2.07."""
    plan = plan_launch([SLOW, QUICK], Decimal("2.06"), START)
    assert [each.gpus for each in plan.choices] == ["H100:1"]
    (warning,) = plan.warnings
    assert "A100-80GB:1 is left out" in warning
    assert "takes a budget of $2.07 (1.03 h at $2.00 an hour), and this one is $2.06" in warning
    assert len(plan_launch([SLOW, QUICK], Decimal("2.07"), START).choices) == 2


def test_a_gpu_on_which_the_run_is_over_budget_is_left_out() -> None:
    plan = plan_launch([SLOW, QUICK], Decimal(1), START)
    assert [each.gpus for each in plan.choices] == ["H100:1"]
    (warning,) = plan.warnings
    assert "A100-80GB:1 is left out: the run would cost $1.03 on it" in warning
    with pytest.raises(OverBudget, match=r"\$0\.73, more than the budget of \$0\.50"):
        plan_launch([SLOW, QUICK], Decimal("0.50"), START)


def test_without_a_budget_the_slowest_has_time() -> None:
    plan = plan_launch([SLOW, QUICK], None, START)
    assert plan.deadline_at == plan_launch([SLOW], None, START).deadline_at


def test_a_run_goes_on_with_the_gpus_that_the_rest_of_the_budget_pays_for() -> None:
    """Set-up and teardown, 2 minutes, are $0.034 and $0.067."""
    plan = plan_resumption([SLOW, QUICK], Decimal(2), Decimal("1.95"), START)
    assert [each.gpus for each in plan.choices] == ["A100-80GB:1"]
    assert "H100:1 is left out" in plan.warnings[0]
    plan = plan_resumption([SLOW, QUICK], Decimal(2), Decimal(1), START)
    assert plan.deadline_at == START + timedelta(minutes=30) - timedelta(seconds=60)


@given(
    st.lists(
        st.tuples(st.integers(1, 100), st.decimals(Decimal("0.1"), Decimal(9), places=2)),
        min_size=1,
        max_size=4,
    ),
    st.decimals(Decimal("0.01"), Decimal(20), places=2),
)
def test_no_gpu_breaks_the_budget_and_none_is_cut_short_by_another(
    kinds: list[tuple[int, Decimal]], budget: Decimal
) -> None:
    choices = [
        on(made(seconds_per_step=seconds, hourly_rate_usd=rate), f"H100:{number}")
        for number, (seconds, rate) in enumerate(kinds, 1)
    ]
    try:
        plan = plan_launch(choices, budget, START)
    except OverBudget:
        assert all(each.estimate.cost_usd > budget for each in choices)
        return
    teardown = timedelta(seconds=60)
    billed = Decimal((plan.deadline_at + teardown - START) / timedelta(hours=1))
    for each in plan.choices:
        assert billed * each.hourly_rate_usd <= budget + Decimal("0.001")
        assert each.estimate.expected.total_seconds <= billed * 3600 + Decimal("0.01")
    assert len(plan.choices) + len(plan.left_out) == len(choices)
    costs = [each.estimate.cost_usd for each in plan.choices]
    assert costs == sorted(costs)
    assert costs[0] == min(each.estimate.cost_usd for each in choices)


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
