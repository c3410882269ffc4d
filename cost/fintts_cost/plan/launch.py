"""Plans a launch: its cost and its deadline. Pure, so that the plan can be shown first.

A budget buys seconds of an instance from the moment of the request. The trainer gets these seconds
less the reserve (`reserve.py`), so that the bill stays within the budget whatever happens. The plan
holds a duration, which becomes a deadline when the instance is requested, so neither the prompt nor
the upload counts.

A run may have a choice of GPUs. They share one deadline, since it is unknown beforehand which one
is available: with a budget, the deadline is what the budget buys of the dearest. The plan leaves
out, and names, a GPU that would cut the run short on the others, or be cut short by them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.errors import OverBudget
from fintts_cost.money import (
    SECONDS_PER_HOUR,
    cost_usd,
    dollars,
    dollars_rounded_up,
    hourly,
)
from fintts_cost.plan.over_budget import refuse_over_budget
from fintts_cost.plan.reach import (
    cut_at_step,
    seconds_to,
    with_last_save,
)
from fintts_cost.plan.shared_deadline import (
    dearest_usd,
    gains_a_step,
    longest_expected,
    longest_healthy,
    needed_usd,
    seconds_bought,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fintts_cost.estimate.result import Estimate
    from fintts_cost.plan.candidate import Candidate
    from fintts_cost.plan.reserve import Reserve


class Rest(NamedTuple):
    """What a resumed run has left."""

    budget_usd: Decimal
    spent_usd: Decimal
    done_steps: int

    @property
    def left_usd(self) -> Decimal:
        """The dollars left, at least 0."""
        return max(self.budget_usd - self.spent_usd, Decimal(0))


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """A run to launch: its bill in three scenarios, and its maximum duration."""

    choices: tuple[Candidate, ...]
    """at least one; the one with the lowest expected cost comes first"""
    budget_usd: Decimal | None
    run_seconds: Decimal
    """from the request of the instance to the deadline of the trainer"""
    reserve: Reserve
    """after the deadline, and within the budget"""
    left_out: tuple[str, ...] = ()
    """a sentence for each requested GPU that is left out"""
    rest: Rest | None = None
    """of a resumed run with a budget"""

    def deadline_from(self, asked_at: datetime) -> datetime:
        """The trainer's deadline, if the instance is requested at this moment: a whole second, so
        that records, labels and the task mean the same moment."""
        exactly = asked_at + timedelta(seconds=float(self.run_seconds))
        return exactly.replace(microsecond=0)

    @property
    def done_steps(self) -> int:
        """The step that the run resumes from."""
        return 0 if self.rest is None else self.rest.done_steps

    @property
    def first(self) -> Candidate:
        """The GPU that is requested first."""
        return self.choices[0]

    @property
    def estimate(self) -> Estimate:
        """The estimate on the GPU that is requested first."""
        return self.first.estimate

    @property
    def is_limited_by_budget(self) -> bool:
        """Whether a larger budget would move the deadline."""
        return self.run_seconds < longest_healthy(self.choices, self.budget_usd is not None)


def plan_launch(
    choices: Sequence[Candidate], budget_usd: Decimal | None, reserve: Reserve
) -> LaunchPlan:
    """The plan of a new run; its time is what the budget buys, less the reserve.

    Raises:
        OverBudget: the expected run costs more than the budget on every GPU, or the budget does
            not pay for a single step.
    """
    by_cost = _by_cost(choices)
    if budget_usd is None:
        return _planned(by_cost, None, reserve)
    refuse_over_budget(by_cost[0].estimate, budget_usd)
    if not any(gains_a_step([each], budget_usd, reserve) for each in by_cost):
        raise OverBudget(
            f"a budget of {dollars(budget_usd)} does not pay for a single step",
            _least_budget(by_cost, Decimal(0), reserve),
        )
    taken, left_out = _within(by_cost, budget_usd, reserve)
    plan = _planned(taken, budget_usd, reserve)
    return replace(plan, left_out=tuple(left_out))


def plan_resumption(
    choices: Sequence[Candidate],
    budget_usd: Decimal | None,
    spent_usd: Decimal,
    reserve: Reserve,
    done_steps: int = 0,
) -> LaunchPlan:
    """The plan of a resumed run; its time is what the rest of the budget buys.

    The estimate still covers the whole run.

    Args:
        done_steps: the step that it resumes from, as far as known.

    Raises:
        OverBudget: the rest does not pay for a step.
    """
    if budget_usd is None:
        return plan_launch(choices, None, reserve)
    by_cost = _by_cost(choices)
    rest = Rest(budget_usd, spent_usd, done_steps)
    taken: list[Candidate] = []
    for each in by_cost:
        if gains_a_step([*taken, each], rest.left_usd, reserve):
            taken.append(each)
    if not taken:
        raise OverBudget(
            f"{dollars(spent_usd)} of the budget of {dollars(budget_usd)} is spent, and the"
            f" {dollars(rest.left_usd)} that is left does not pay for another step",
            _least_budget(by_cost, spent_usd, reserve),
        )
    left_out = tuple(
        f"{each.gpus} is left out: what is left of the budget does not pay for a step on it"
        for each in by_cost
        if each not in taken
    )
    return replace(_planned(taken, rest.left_usd, reserve, rest), left_out=left_out)


def _by_cost(choices: Sequence[Candidate]) -> list[Candidate]:
    return sorted(choices, key=lambda choice: choice.expected_usd)


def _planned(
    choices: Sequence[Candidate], money: Decimal | None, reserve: Reserve, rest: Rest | None = None
) -> LaunchPlan:
    """The plan with the time that this money buys, and the step where that ends the run."""
    seconds = seconds_bought(choices, money, reserve)
    done = 0 if rest is None else rest.done_steps
    cut = tuple(
        each._replace(cut_at_step=cut_at_step(each.estimate.given, seconds, done))
        for each in choices
    )
    budget = money if rest is None else rest.budget_usd
    return LaunchPlan(cut, budget, seconds, reserve, rest=rest)


def _least_budget(choices: Sequence[Candidate], spent_usd: Decimal, reserve: Reserve) -> str:
    """The hint with the budget that pays for a step."""
    least = min(
        cost_usd(
            with_last_save(seconds_to(each.estimate.given, 1)) + reserve.total_seconds,
            each.ceiling_usd,
        )
        for each in choices
    )
    return (
        f"raise --budget to {dollars_rounded_up(spent_usd + least)} at least: set-up, a step with "
        f"its save, and {reserve.total_seconds:,.0f} s kept for ending the instance cost so much"
    )


def _within(
    by_cost: Sequence[Candidate], budget_usd: Decimal, reserve: Reserve
) -> tuple[list[Candidate], list[str]]:
    """The GPUs that can share a deadline with the cheapest run, and why the others cannot."""
    taken: list[Candidate] = []
    left_out: list[str] = []
    for each in by_cost:
        together = [*taken, each]
        is_able = gains_a_step(together, budget_usd, reserve)
        needed = needed_usd(together, reserve)
        if is_able and (not taken or needed <= budget_usd):
            taken = together
        elif each.estimate.cost_usd > budget_usd:
            left_out.append(
                f"{each.gpus} is left out: the run would cost {dollars(each.estimate.cost_usd)} on "
                f"it, more than the budget of {dollars(budget_usd)}"
            )
        elif not taken:
            left_out.append(f"{each.gpus} is left out: the budget does not pay for a step on it")
        else:
            left_out.append(_no_common_deadline(together, reserve, budget_usd))
    return taken, left_out


def _no_common_deadline(choices: Sequence[Candidate], reserve: Reserve, budget_usd: Decimal) -> str:
    hours = float(longest_expected(choices, reserve)) / SECONDS_PER_HOUR
    return (
        f"{choices[-1].gpus} is left out: one deadline for it and {choices[0].gpus} takes a budget "
        f"of {dollars(needed_usd(choices, reserve))} ({hours:.2f} h at "
        f"{hourly(dearest_usd(choices))}), and this one is {dollars(budget_usd)}"
    )
