"""What a launch will cost and when it ends at the latest: pure, so that it can be shown first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cli.errors import OverBudget
from fintts_cli.views.units import dollars
from fintts_cost.bill import affordable_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fintts_cost.bill import Estimate, Price
    from fintts_cost.estimate_json import JsonValue

SPARE_SHARE = Decimal("1.5")
SPARE_SECONDS = Decimal(600)
"""Without a budget a run gets half as long again as in the worst case, and ten minutes."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Where and within which limits a run goes: what run.json says beside its configuration."""

    infra: str
    gpus: str
    spot: bool
    price: Price
    budget_usd: Decimal | None
    deadline_at: datetime
    estimate: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """A run that may be launched: its bill in three scenarios, and its deadline."""

    estimate: Estimate
    budget_usd: Decimal | None
    deadline_at: datetime
    """when the trainer must have ended; tearing down comes after it and is within the budget"""
    cut_at_step: int | None
    """where the deadline ends a run that does not stop sooner; None where it comes to its end"""

    @property
    def hourly_rate_usd(self) -> Decimal:
        """What an hour of the instance costs."""
        return self.estimate.expected.price.hourly_rate_usd

    @property
    def deadline_sentence(self) -> str:
        """Where the deadline comes from."""
        if self.budget_usd is not None:
            return f"the budget of {dollars(self.budget_usd)} lasts until then"
        return "half as long again as the worst case, and ten minutes; --budget sets another"

    @property
    def warnings(self) -> list[str]:
        """What the user should know before saying yes."""
        if self.cut_at_step is None:
            return []
        worst = self.estimate.worst
        return [
            f"a run to step {worst.stop_step} would cost {dollars(worst.cost_usd)}: the deadline"
            f" ends it at about step {self.cut_at_step}"
        ]


def plan_launch(estimate: Estimate, budget_usd: Decimal | None, now: datetime) -> LaunchPlan:
    """The deadline that the budget buys, seen from now.

    Raises:
        OverBudget: the expected run costs more than the budget.
    """
    affordable = _affordable(estimate, budget_usd)
    allowed = affordable if affordable is not None else _generous(estimate)
    teardown = estimate.expected.durations.teardown_seconds
    deadline_at = now + timedelta(seconds=float(allowed - teardown))
    cut = None if estimate.worst.total_seconds <= allowed else last_step_within(estimate, allowed)
    return LaunchPlan(estimate, budget_usd, deadline_at, cut)


def plan_resumption(
    estimate: Estimate, budget_usd: Decimal | None, spent_usd: Decimal, now: datetime
) -> LaunchPlan:
    """The plan of a run that goes on: what is left of the budget sets the deadline.

    The estimate is still that of the whole run: how much of it is left is known only when the
    newest checkpoint has been read.

    Raises:
        OverBudget: nothing is left.
    """
    if budget_usd is None:
        return plan_launch(estimate, None, now)
    left = affordable_seconds(budget_usd - spent_usd, estimate.expected.price.hourly_rate_usd)
    fixed = estimate.given.durations(0).total_seconds
    if left is not None and left <= fixed:
        raise OverBudget(
            f"{dollars(spent_usd)} of the budget of {dollars(budget_usd)} are spent,"
            " and the rest does not pay for another instance",
            "raise --budget",
        )
    allowed = _generous(estimate) if left is None else left
    deadline_at = now + timedelta(
        seconds=float(allowed - estimate.expected.durations.teardown_seconds)
    )
    return LaunchPlan(estimate, budget_usd, deadline_at, cut_at_step=None)


def _affordable(estimate: Estimate, budget_usd: Decimal | None) -> Decimal | None:
    """Seconds that the budget pays for; None where nothing limits them."""
    if budget_usd is None:
        return None
    refuse_over_budget(estimate, budget_usd)
    return affordable_seconds(budget_usd, estimate.expected.price.hourly_rate_usd)


def refuse_over_budget(estimate: Estimate, budget_usd: Decimal) -> None:
    """Raises OverBudget if the expected run costs more than that; the hint says what would fit."""
    cost = estimate.cost_usd
    if cost > budget_usd:
        # Amounts that are the same to the cent are told apart by more digits.
        shown = dollars if dollars(cost) != dollars(budget_usd) else _exactly
        raise OverBudget(
            f"the run is expected to cost {shown(cost)},"
            f" more than the budget of {shown(budget_usd)}",
            _what_would_fit(estimate, budget_usd),
        )


def _exactly(amount: Decimal) -> str:
    return f"${amount:.6f}"


def _what_would_fit(estimate: Estimate, budget_usd: Decimal) -> str:
    seconds = affordable_seconds(budget_usd, estimate.expected.price.hourly_rate_usd)
    step = 0 if seconds is None else last_step_within(estimate, seconds)
    if step < 1:
        return "raise --budget, or find an instance with a lower --hourly-rate"
    is_expected_sooner = estimate.expected.stop_step < estimate.worst.stop_step
    keys = (
        "training.max_steps and forecast.stop_step" if is_expected_sooner else "training.max_steps"
    )
    return f"raise --budget, or set {keys} to {step} or less"


def _generous(estimate: Estimate) -> Decimal:
    return estimate.worst.total_seconds * SPARE_SHARE + SPARE_SECONDS


def last_step_within(estimate: Estimate, seconds: Decimal) -> int:
    """The last step whose bill fits into so many seconds; 0 when not even the set-up does."""
    low, high = 0, estimate.worst.stop_step
    while low < high:
        middle = (low + high + 1) // 2
        if estimate.given.durations(middle).total_seconds <= seconds:
            low = middle
        else:
            high = middle - 1
    return low
