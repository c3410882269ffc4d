"""What a plan says in words: where its deadline comes from, and what may end the run early."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cost.money import cost_usd, dollars, dollars_rounded_up, hourly
from fintts_cost.plan.reach import cut_at_step, last_step_before, seconds_to, with_last_save
from fintts_cost.plan.reserve import NO_RECOVERY_SECONDS
from fintts_cost.plan.shared_deadline import dearest_usd

if TYPE_CHECKING:
    from fintts_cost.plan.candidate import Candidate
    from fintts_cost.plan.launch import LaunchPlan


def deadline_sentence(plan: LaunchPlan) -> str:
    """A sentence on where the deadline comes from."""
    slow_ends = [end for end in map(_slow_end, plan.choices) if end]
    case = " at ".join(["the worst case", *slow_ends[:1]])
    times = "half as long again as" if plan.budget_usd is None else "three times"
    generous = f"{times} {case}, and ten minutes"
    if plan.budget_usd is None:
        return f"{generous}; --budget sets another"
    if not plan.is_limited_by_budget:
        return f"{generous}; the budget of {dollars(plan.budget_usd)} lasts longer"
    dearest = "" if len(plan.choices) == 1 else ", on the dearest of them,"
    kept = plan.reserve.total_seconds
    return (
        f"the budget of {dollars(plan.budget_usd)} lasts{dearest} until then, "
        f"with {kept:,.0f} s kept for ending the instance"
    )


def rest_sentence(plan: LaunchPlan) -> str | None:
    """The money spent and left, and the steps that it buys; None for a new run."""
    if plan.rest is None:
        return None
    rest, steps = plan.rest, last_step_before(plan.estimate.given, plan.run_seconds)
    return (
        f"{dollars(rest.spent_usd)} of the budget of {dollars(rest.budget_usd)} is spent, and "
        f"{dollars(rest.left_usd)} is left, which pays for about {steps:,} steps"
    )


def warnings_of(plan: LaunchPlan) -> list[str]:
    """Sentences that you should read before saying yes."""
    told = [_ceiling_sentence(each) for each in plan.choices]
    told += [_cut_sentence(each, plan) for each in plan.choices]
    told.append(_recovery_sentence(plan))
    return [*plan.left_out, *(sentence for sentence in told if sentence)]


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
    return dollars_rounded_up(spent + cost_usd(seconds, dearest_usd(plan.choices)))
