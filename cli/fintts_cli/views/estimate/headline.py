"""The one sentence of an estimate that a decision needs; it comes last."""

from __future__ import annotations

from datetime import timedelta
from textwrap import wrap
from typing import TYPE_CHECKING

from fintts_cli.views.estimate.layout import WIDTH
from fintts_cli.views.units import counted, duration, moment, rough_dollars, rough_duration
from fintts_cost.money import dollars

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from fintts_cost.interval import Interval
    from fintts_cost.plan.candidate import Candidate
    from fintts_cost.plan.launch import LaunchPlan


def headline(
    candidate: Candidate,
    *,
    budget_usd: Decimal | None = None,
    plan: LaunchPlan | None = None,
    now: datetime | None = None,
) -> list[str]:
    """Cost, budget and latest end, in one or two lines.

    Args:
        plan: of a launch now; None if there would be none.
    """
    parts = [_cost(candidate, budget_usd), _budget(candidate, budget_usd), _end(plan, now)]
    return wrap("; ".join(part for part in parts if part), WIDTH)


def _cost(candidate: Candidate, budget_usd: Decimal | None) -> str:
    outlook, is_free = candidate.outlook, candidate.hourly_rate_usd == 0
    if candidate.estimate.given.pace.is_exact and not candidate.spot:
        return _exact(candidate)
    if is_free:
        low, likely, high = map(rough_duration, outlook.seconds)
        return f"{_range(low, high)}, most likely {likely}; no GPU is billed"
    usd = _within(outlook.usd, budget_usd)
    low, likely, high = map(rough_dollars, usd)
    return f"{_range(low, high)}, most likely {likely} ({rough_duration(outlook.seconds.likely)})"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _within(usd: Interval, budget_usd: Decimal | None) -> Interval:
    """The deadline ends a run before it costs more than the budget."""
    if budget_usd is None or usd.likely > budget_usd:
        return usd
    return usd._replace(high=min(usd.high, float(budget_usd)))


def _exact(candidate: Candidate) -> str:
    """The bill for a pace that is known, which is arithmetic."""
    expected, worst = candidate.estimate.expected, candidate.estimate.worst
    cost = f"{dollars(expected.cost_usd)} and {duration(float(expected.total_seconds))}"
    if worst.stop_step == expected.stop_step:
        return f"{cost} for all {counted(expected.stop_step, 'step')}"
    most = f"{dollars(worst.cost_usd)} and {duration(float(worst.total_seconds))}"
    return (
        f"{cost}, if it stops at step {expected.stop_step:,}; {most} at most, at step "
        f"{worst.stop_step:,}"
    )


def _budget(candidate: Candidate, budget_usd: Decimal | None) -> str:
    if budget_usd is None or candidate.hourly_rate_usd == 0:
        return ""
    if candidate.cost_usd > budget_usd:
        return f"over your {short(budget_usd)}"
    if candidate.expected_usd > budget_usd:  # with what preemptions add
        return f"does not fit your {short(budget_usd)}, which would end it before its last step"
    return f"never more than your {short(budget_usd)}"


def short(amount: Decimal) -> str:
    """$10 for $10.00"""
    return dollars(amount).removesuffix(".00")


def _end(plan: LaunchPlan | None, now: datetime | None) -> str:
    if plan is None or now is None:
        return ""
    latest = plan.deadline_from(now) + timedelta(seconds=float(plan.reserve.total_seconds))
    return f"ends by {moment(latest, now)} at the latest"
