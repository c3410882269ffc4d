"""Refuses a run with an expected cost above its budget, and says what would fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cost.errors import OverBudget
from fintts_cost.money import affordable_seconds, dollars
from fintts_cost.plan.reach import last_step_within

if TYPE_CHECKING:
    from decimal import Decimal

    from fintts_cost.estimate.result import Estimate


def refuse_over_budget(estimate: Estimate, budget_usd: Decimal) -> None:
    """Raises OverBudget if the expected run costs more; the hint says what would fit."""
    cost = estimate.cost_usd
    if cost > budget_usd:
        # Amounts that are equal to the cent get more digits.
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
