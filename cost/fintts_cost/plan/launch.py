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
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.errors import OverBudget
from fintts_cost.money import (
    CENT,
    SECONDS_PER_HOUR,
    affordable_seconds,
    cost_usd,
    dollars,
    hourly,
)
from fintts_cost.plan.over_budget import refuse_over_budget
from fintts_cost.plan.reach import (
    cut_at_step,
    generous_seconds,
    last_step_before,
    seconds_to,
    usable_seconds,
    with_last_save,
)
from fintts_cost.plan.reserve import NO_RECOVERY_SECONDS

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
        return self.run_seconds < _generous_seconds(self.choices, self.budget_usd is not None)

    @property
    def deadline_sentence(self) -> str:
        """A sentence on where the deadline comes from."""
        slow_ends = [end for end in map(_slow_end, self.choices) if end]
        case = " at ".join(["the worst case", *slow_ends[:1]])
        times = "half as long again as" if self.budget_usd is None else "three times"
        generous = f"{times} {case}, and ten minutes"
        if self.budget_usd is None:
            return f"{generous}; --budget sets another"
        if not self.is_limited_by_budget:
            return f"{generous}; the budget of {dollars(self.budget_usd)} lasts longer"
        dearest = "" if len(self.choices) == 1 else ", on the dearest of them,"
        kept = self.reserve.total_seconds
        return (
            f"the budget of {dollars(self.budget_usd)} lasts{dearest} until then, "
            f"with {kept:,.0f} s kept for ending the instance"
        )

    @property
    def rest_sentence(self) -> str | None:
        """The money spent and left, and the steps that it buys; None for a new run."""
        if self.rest is None:
            return None
        rest, steps = self.rest, last_step_before(self.estimate.given, self.run_seconds)
        return (
            f"{dollars(rest.spent_usd)} of the budget of {dollars(rest.budget_usd)} is spent, and "
            f"{dollars(rest.left_usd)} is left, which pays for about {steps:,} steps"
        )

    @property
    def warnings(self) -> list[str]:
        """Sentences that you should read before saying yes."""
        told = [_ceiling_sentence(each) for each in self.choices]
        told += [_cut_sentence(each, self) for each in self.choices]
        told.append(_recovery_sentence(self))
        return [*self.left_out, *(sentence for sentence in told if sentence)]


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
    if not any(_gains_a_step([each], budget_usd, reserve) for each in by_cost):
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
        if _gains_a_step([*taken, each], rest.left_usd, reserve):
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
    seconds = _run_seconds(choices, money, reserve)
    done = 0 if rest is None else rest.done_steps
    cut = tuple(
        each._replace(cut_at_step=cut_at_step(each.estimate.given, seconds, done))
        for each in choices
    )
    budget = money if rest is None else rest.budget_usd
    return LaunchPlan(cut, budget, seconds, reserve, rest=rest)


def _run_seconds(choices: Sequence[Candidate], money: Decimal | None, reserve: Reserve) -> Decimal:
    """Seconds from the request of the instance to the deadline, on any of the GPUs."""
    generous = _generous_seconds(choices, money is not None)
    bought = None if money is None else affordable_seconds(money, _dearest_usd(choices))
    return generous if bought is None else min(bought - reserve.total_seconds, generous)


def _generous_seconds(choices: Sequence[Candidate], has_budget: bool) -> Decimal:
    """The most that a healthy run needs on any of the GPUs, and a margin."""
    return max(generous_seconds(each.estimate.given, has_budget=has_budget) for each in choices)


def _dearest_usd(choices: Sequence[Candidate]) -> Decimal:
    """The maximum cost of an hour on any of the GPUs."""
    return max(each.ceiling_usd for each in choices)


def _gains_a_step(choices: Sequence[Candidate], money: Decimal, reserve: Reserve) -> bool:
    """Whether each GPU finishes and saves a step in the time that the money buys."""
    seconds = _run_seconds(choices, money, reserve)
    return all(seconds_to(each.estimate.given, 1) <= usable_seconds(seconds) for each in choices)


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
        f"raise --budget to {_to_next_cent(spent_usd + least)} at least: set-up, a step with its "
        f"save, and {reserve.total_seconds:,.0f} s kept for ending the instance cost so much"
    )


def _to_next_cent(amount: Decimal) -> str:
    return dollars(amount.quantize(CENT, ROUND_CEILING))


def _within(
    by_cost: Sequence[Candidate], budget_usd: Decimal, reserve: Reserve
) -> tuple[list[Candidate], list[str]]:
    """The GPUs that can share a deadline with the cheapest run, and why the others cannot."""
    taken: list[Candidate] = []
    left_out: list[str] = []
    for each in by_cost:
        together = [*taken, each]
        is_able = _gains_a_step(together, budget_usd, reserve)
        needed = _needed_usd(together, reserve)
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


def _needed_usd(choices: Sequence[Candidate], reserve: Reserve) -> Decimal:
    """The budget that lets the expected run finish on any of the GPUs: the longest time at the
    dearest rate."""
    return cost_usd(_longest(choices, reserve), _dearest_usd(choices))


def _longest(choices: Sequence[Candidate], reserve: Reserve) -> Decimal:
    """Seconds of the expected run on the slowest GPU, including all reserves."""
    given = ((each.estimate.given, each.estimate.expected.stop_step) for each in choices)
    training = max(seconds_to(each, step) for each, step in given)
    return with_last_save(training) + reserve.total_seconds


def _no_common_deadline(choices: Sequence[Candidate], reserve: Reserve, budget_usd: Decimal) -> str:
    hours = float(_longest(choices, reserve)) / SECONDS_PER_HOUR
    return (
        f"{choices[-1].gpus} is left out: one deadline for it and {choices[0].gpus} takes a budget "
        f"of {dollars(_needed_usd(choices, reserve))} ({hours:.2f} h at "
        f"{hourly(_dearest_usd(choices))}), and this one is {dollars(budget_usd)}"
    )


def _slow_end(choice: Candidate) -> str | None:
    """The slow end of a forecast in words; None if the pace is known."""
    seconds = choice.estimate.given.slow_seconds_per_step
    if seconds is None:
        return None
    return f"the slow end of the forecast ({float(seconds):,.2g} s a step)"


def _cut_sentence(choice: Candidate, plan: LaunchPlan) -> str | None:
    """A sentence on where the deadline ends the run, at the expected pace or the slow end."""
    made, where = choice.estimate, f" on {choice.gpus}" if len(plan.choices) > 1 else ""
    expected, worst, cut = made.expected, made.worst, choice.cut_at_step
    if cut is not None and cut < expected.stop_step:
        return (
            f"the deadline ends the run{where} at about step {cut:,}, before its expected end at "
            f"step {expected.stop_step:,}; a budget of {_budget_for(choice, plan)} lasts so long"
        )
    if cut is not None:
        return (
            f"a run to step {worst.stop_step:,}{where} would cost {dollars(worst.cost_usd)}: the "
            f"deadline ends it at about step {cut:,}"
        )
    slow = cut_at_step(made.given.at_slow_end, plan.run_seconds, plan.done_steps)
    if slow is None:
        return None
    return (
        f"how long a step takes{where} is a forecast: at {_slow_end(choice)} the deadline ends the "
        f"run at about step {slow:,}"
    )


def _ceiling_sentence(choice: Candidate) -> str | None:
    if choice.ceiling_usd == choice.hourly_rate_usd:
        return None
    return (
        f"the cloud bills {choice.gpus} on spot at the market's price of the hour, which is "
        f"{hourly(choice.hourly_rate_usd)} in the list and may rise to "
        f"{hourly(choice.ceiling_usd)}: the deadline is computed from that"
    )


def _recovery_sentence(plan: LaunchPlan) -> str | None:
    """A warning for a spot run with at least half of it in the last ten minutes."""
    if not plan.reserve.has_recoveries or plan.run_seconds >= 2 * NO_RECOVERY_SECONDS:
        return None
    minutes, last = float(plan.run_seconds) / 60, float(NO_RECOVERY_SECONDS) / 60
    ends_it = "the run ends with what it has saved when its instance is taken away"
    when = f" after the first {minutes - last:.1f} minutes" if minutes > last else ""
    return (
        f"a spot run goes on elsewhere until {last:.0f} minutes before its deadline, and this "
        f"deadline is {minutes:.1f} minutes after the request: {ends_it}{when}"
    )


def _budget_for(choice: Candidate, plan: LaunchPlan) -> str:
    """The budget that lets the expected run finish on this GPU."""
    made = choice.estimate
    training = seconds_to(made.given, made.expected.stop_step, plan.done_steps)
    seconds = with_last_save(training) + plan.reserve.total_seconds
    spent = Decimal(0) if plan.rest is None else plan.rest.spent_usd
    return _to_next_cent(spent + cost_usd(seconds, _dearest_usd(plan.choices)))
