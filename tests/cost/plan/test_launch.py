"""The deadline that a budget buys, and what is refused or warned about beforehand."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fintts_cli.launch.record import make_name
from fintts_cost.errors import OverBudget
from fintts_cost.estimate.inputs import EstimateInput
from fintts_cost.estimate.result import Estimate, estimate
from fintts_cost.money import Price
from fintts_cost.plan.candidate import Candidate
from fintts_cost.plan.launch import plan_launch, plan_resumption
from fintts_cost.plan.reach import (
    cut_at_step,
    last_step_before,
    last_step_within,
    seconds_to,
    with_last_save,
)
from fintts_cost.plan.reserve import Reserve
from fintts_cost.plan.sentences import deadline_sentence, rest_sentence, warnings_of
from fintts_cost.reference.run import REFERENCE_RUN
from run_samples import START


def made(**changes: object) -> Estimate:
    """100 steps of 36 s at $1 an hour are $1, with 60 s of set-up and teardown each."""
    numbers: dict[str, object] = {
        "samples": 100,
        "max_steps": 100,
        "seconds_per_step": 36,
        "price": Price(Decimal(1)),
        "setup_seconds": 60,
        "teardown_seconds": 60,
        "patience": None,
        "validation_every": 10,
        "seconds_per_validation": 0,
    }
    return estimate(EstimateInput(**(numbers | changes)))  # type: ignore[arg-type]  # as typed above


def on(estimate: Estimate, gpus: str = "A100-80GB:1") -> Candidate:
    return Candidate(gpus, estimate)


HERE = Reserve.here(60)
RENTED = Reserve.on_demand()
"""130 + 120 + 60 s"""


def forecast(**changes: object) -> Estimate:
    """A first run: 3,000 steps of 0.104 s at 40 % MFU, and of 4.16 s at 1 %."""
    numbers: dict[str, object] = {
        "max_steps": 3000,
        "seconds_per_step": Decimal("0.104"),
        "slow_seconds_per_step": Decimal("4.16"),
        "price": Price(Decimal("1.20")),
        "setup_seconds": 600,
        "teardown_seconds": 110,
    }
    return made(**(numbers | changes))


@pytest.mark.parametrize(
    ("reserve", "seconds"),
    [
        (Reserve.here(1), 1),
        (Reserve.on_demand(), 310),
        (Reserve.on_demand(110), 310),
        (Reserve.on_demand(300), 480),
        (Reserve.spot(), 1180),
    ],
)
def test_each_infra_keeps_its_own_reserve(reserve: Reserve, seconds: int) -> None:
    assert reserve.total_seconds == seconds


def test_a_budget_buys_time_from_the_request_and_pays_for_the_reserve() -> None:
    plan = plan_launch([on(made())], Decimal("1.5"), RENTED)
    assert plan.run_seconds == 5400 - 310
    assert plan.deadline_from(START) == START + timedelta(seconds=5400 - 310)
    assert plan.first.cut_at_step is None
    assert warnings_of(plan) == []
    assert "$1.50 lasts until then, with 310 s kept" in deadline_sentence(plan)


def test_the_deadline_leaves_time_for_what_is_spoken_at_the_start() -> None:
    """A step takes 36 s, and speaking as long: at the start, and after each tenth step."""
    silent = made().given
    speaks = made(seconds_per_samples=36).given
    for step in (1, 10, 100):
        more = (1 + step // 10) * 36
        assert seconds_to(speaks, step) == seconds_to(silent, step) + more
    enough = with_last_save(Decimal(60 + 36 + 36))
    assert last_step_before(speaks, enough) == 1
    assert last_step_before(speaks, enough - 1) == 0


def test_a_larger_budget_does_not_let_a_hung_run_bill_for_ever() -> None:
    worst = 3600 + 120
    for budget, times, said in (
        (None, Decimal("1.5"), "half as long again as"),
        (Decimal(1000), 3, "three times"),
    ):
        plan = plan_launch([on(made())], budget, RENTED)
        assert plan.run_seconds == times * worst + 600
        assert f"{said} the worst case, and ten minutes" in deadline_sentence(plan)
    assert "--budget sets another" in deadline_sentence(plan_launch([on(made())], None, RENTED))


@pytest.mark.parametrize("budget", [None, Decimal(20)])
def test_a_deadline_from_a_forecast_lets_the_reference_run_come_to_its_end(
    budget: Decimal | None,
) -> None:
    plan = plan_launch([on(forecast())], budget, RENTED)
    measured = made(max_steps=3000, seconds_per_step=5.4, setup_seconds=600).given
    assert cut_at_step(measured, plan.run_seconds) is None
    assert "the slow end of the forecast (4.2 s a step)" in deadline_sentence(plan)


def test_a_budget_that_may_not_last_at_the_slow_end_says_so() -> None:
    plan = plan_launch([on(forecast())], Decimal("1.20"), RENTED)
    (warning,) = warnings_of(plan)
    assert "at the slow end of the forecast (4.2 s a step)" in warning
    assert "ends the run at about step 625" in warning  # (3600 - 310 - 87 - 600) / 4.16


def test_an_expected_cost_over_the_budget_is_refused_with_what_would_fit() -> None:
    with pytest.raises(OverBudget) as caught:
        plan_launch([on(made())], Decimal("1"), HERE)
    assert "expected to cost $1.03, more than the budget of $1.00" in caught.value.message
    assert "training.max_steps to 96 or less" in caught.value.hint
    with pytest.raises(OverBudget) as hopeless:
        plan_launch([on(made())], Decimal("0.01"), HERE)
    assert "--hourly-rate" in hopeless.value.hint


def test_a_worst_case_over_the_budget_says_where_it_is_cut() -> None:
    plan = plan_launch([on(made(steps=50))], Decimal("1"), HERE)
    assert plan.first.cut_at_step == 94  # (3600 - 60 - 87 - 60) / 36
    (warning,) = warnings_of(plan)
    assert "a run to step 100 would cost $1.03" in warning
    assert "step 94" in warning


def test_a_budget_of_just_the_expected_cost_says_where_it_cuts_and_what_does_not() -> None:
    given = made(steps=80)
    plan = plan_launch([on(given)], given.cost_usd, RENTED)
    (warning,) = warnings_of(plan)
    assert "at about step 70, before its expected end at step 80" in warning
    (amount,) = re.findall(r"a budget of \$([0-9.]+) lasts so long", warning)
    enough = plan_launch([on(given)], Decimal(amount), RENTED).first.cut_at_step
    assert enough == 80
    less = plan_launch([on(given)], Decimal(amount) - Decimal("0.02"), RENTED).first.cut_at_step
    assert less is not None
    assert less < 80


def test_a_budget_that_the_reserve_eats_is_refused_with_the_least_that_is_enough() -> None:
    short = made(max_steps=2, validation_every=1, checkpoint_every=1)
    with pytest.raises(OverBudget, match=r"\$0\.06 does not pay for a single step") as refused:
        plan_launch([on(short)], Decimal("0.06"), RENTED)
    (amount,) = re.findall(r"raise --budget to \$([0-9.]+)", refused.value.hint)
    assert plan_launch([on(short)], Decimal(amount), RENTED).first.cut_at_step == 1


def test_an_instance_that_costs_nothing_is_not_limited_by_a_budget() -> None:
    plan = plan_launch([on(made(price=Price(Decimal(0))))], Decimal("1"), HERE)
    assert plan.first.cut_at_step is None
    assert plan.run_seconds > 3600


def test_a_run_that_goes_on_has_what_is_left_of_the_budget_and_says_so() -> None:
    plan = plan_resumption([on(made())], Decimal("2"), Decimal("1.5"), RENTED, done_steps=30)
    assert plan.run_seconds == 1800 - 310
    assert rest_sentence(plan) == (
        "$1.50 of the budget of $2.00 is spent, and $0.50 is left, which pays for about 37 steps"
    )
    assert plan.first.cut_at_step == 67
    free = plan_resumption([on(made())], None, Decimal("9"), RENTED)
    assert free.run_seconds == plan_launch([on(made())], None, RENTED).run_seconds
    assert rest_sentence(free) is None


@pytest.mark.parametrize("spent", ["1.89", "1.99", "2.00", "3.50"])
def test_a_run_that_cannot_gain_a_step_does_not_go_on(spent: str) -> None:
    """Set-up and a step, with a tenth for the save, and the reserve take 107 + 310 s, $0.12."""
    with pytest.raises(OverBudget, match=r"of the budget of \$2\.00 is spent") as refused:
        plan_resumption([on(made())], Decimal("2"), Decimal(spent), RENTED)
    (amount,) = re.findall(r"raise --budget to \$([0-9.]+)", refused.value.hint)
    plan = plan_resumption([on(made())], Decimal(amount), Decimal(spent), RENTED)
    assert plan.first.cut_at_step is not None
    assert plan.first.cut_at_step >= 1


SLOW = on(made())
"""$1.03 for 62 minutes"""
QUICK = on(made(seconds_per_step=12, price=Price(Decimal(2))), "H100:1")
"""$0.73 for 22 minutes"""


def test_of_several_gpus_the_cheapest_run_comes_first_and_the_dearest_sets_the_deadline() -> None:
    plan = plan_launch([SLOW, QUICK], Decimal(3), HERE)
    assert [each.gpus for each in plan.choices] == ["H100:1", "A100-80GB:1"]
    assert plan.estimate is QUICK.estimate
    assert plan.run_seconds == 5400 - 60
    assert "on the dearest of them" in deadline_sentence(plan)
    assert warnings_of(plan) == []
    assert [each.price.hourly_rate_usd for each in plan.choices] == [Decimal(2), Decimal(1)]


def test_a_gpu_that_would_be_cut_short_by_the_common_deadline_is_left_out() -> None:
    """60 s of set-up, 3,600 of steps, 87 for the last save and 310 of reserve at $2: $2.26."""
    plan = plan_launch([SLOW, QUICK], Decimal("2.25"), RENTED)
    assert [each.gpus for each in plan.choices] == ["H100:1"]
    (warning,) = warnings_of(plan)
    assert "A100-80GB:1 is left out" in warning
    assert "takes a budget of $2.25 (1.13 h at $2.00 an hour), and this one is $2.25" in warning
    both = plan_launch([SLOW, QUICK], Decimal("2.26"), RENTED)
    assert [each.cut_at_step for each in both.choices] == [None, None]


def test_a_gpu_on_which_the_run_is_over_budget_is_left_out() -> None:
    plan = plan_launch([SLOW, QUICK], Decimal(1), HERE)
    assert [each.gpus for each in plan.choices] == ["H100:1"]
    (warning,) = warnings_of(plan)
    assert "A100-80GB:1 is left out: the run would cost $1.03 on it" in warning
    with pytest.raises(OverBudget, match=r"\$0\.73, more than the budget of \$0\.50"):
        plan_launch([SLOW, QUICK], Decimal("0.50"), HERE)


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ("0.50", "10.3 minutes after the request: the run ends with what it has saved when its "
         "instance is taken away after the first 0.3 minutes"),
        ("0.48", "9.1 minutes after the request: the run ends with what it has saved when its "
         "instance is taken away"),
        ("0.70", None),
    ],
)  # fmt: skip
def test_a_spot_run_too_short_for_a_recovery_says_so(budget: str, told: str | None) -> None:
    """At $1 an hour a budget of $0.50 buys 1,800 s, of which 1,180 are kept."""
    short = on(made(max_steps=10))
    plan = plan_launch([short], Decimal(budget), Reserve.spot())
    said = [sentence for sentence in warnings_of(plan) if "goes on elsewhere" in sentence]
    assert [sentence.split("this deadline is ")[1] for sentence in said] == ([told] if told else [])
    on_demand = plan_launch([short], Decimal(budget), RENTED)
    assert "elsewhere" not in " ".join(warnings_of(on_demand))


def test_without_a_budget_the_slowest_has_time() -> None:
    plan = plan_launch([SLOW, QUICK], None, HERE)
    assert plan.run_seconds == plan_launch([SLOW], None, HERE).run_seconds


def test_a_run_goes_on_with_the_gpus_that_the_rest_of_the_budget_pays_for() -> None:
    """A first step takes 60 + 36 and 60 + 12 s of a time of which a tenth is kept for the save."""
    plan = plan_resumption([SLOW, QUICK], Decimal(2), Decimal("1.95"), HERE)
    assert [each.gpus for each in plan.choices] == ["A100-80GB:1"]
    assert "H100:1 is left out" in warnings_of(plan)[0]
    plan = plan_resumption([SLOW, QUICK], Decimal(2), Decimal(1), HERE)
    assert plan.run_seconds == 1800 - 60


def test_a_deadline_is_computed_from_the_most_that_an_hour_may_cost() -> None:
    spot = on(made())._replace(most_hourly_usd=Decimal(3))
    plan = plan_launch([spot], Decimal(3), Reserve.spot())
    assert plan.run_seconds == 3600 - 1180
    assert plan.first.hourly_rate_usd == 1


@given(
    st.lists(
        st.tuples(st.integers(1, 100), st.decimals(Decimal("0.1"), Decimal(9), places=2)),
        min_size=1,
        max_size=4,
    ),
    st.decimals(Decimal("0.01"), Decimal(20), places=2),
    st.sampled_from([HERE, RENTED, Reserve.spot()]),
)
def test_no_gpu_breaks_the_budget_and_none_is_cut_short_by_another(
    kinds: list[tuple[int, Decimal]], budget: Decimal, reserve: Reserve
) -> None:
    choices = [
        on(made(seconds_per_step=seconds, price=Price(rate)), f"H100:{number}")
        for number, (seconds, rate) in enumerate(kinds, 1)
    ]
    try:
        plan = plan_launch(choices, budget, reserve)
    except OverBudget:
        return
    billed = plan.run_seconds + reserve.total_seconds
    for each in plan.choices:
        assert billed * each.hourly_rate_usd / 3600 <= budget + Decimal("0.001")
        assert last_step_before(each.estimate.given, plan.run_seconds) >= 1
        assert len(plan.choices) == 1 or each.cut_at_step is None
    assert len(plan.choices) + len(plan.left_out) == len(choices)
    costs = [each.estimate.cost_usd for each in plan.choices]
    assert costs == sorted(costs)


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


def test_a_measured_pace_has_no_slow_end() -> None:
    given = made().given
    assert given.at_slow_end is given
    slow = forecast().given.at_slow_end
    assert slow.seconds_per_step == Decimal("4.16")
    assert slow.at_slow_end is slow
