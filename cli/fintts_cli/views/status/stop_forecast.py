"""The forecast of a run's end in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.units import counted, duration, value
from fintts_cost.money import dollars_of

if TYPE_CHECKING:
    from fintts_cli.runs.status.stop_forecast import PricedForecast


def end_in_short(found: PricedForecast) -> str:
    """ends at 1900–3000; ends at 3000"""
    told = found.forecast
    return f"ends at {_span(str(told.low_step), str(told.high_step))}"


def end_in_a_line(found: PricedForecast) -> str:
    """ends at step 1900–3000, most likely 2400, for $0.20–$0.60 more"""
    cost = cost_in_words(found)
    return f"ends at {step_in_words(found)}" + (f", for {cost}" if cost else "")


def step_in_words(found: PricedForecast) -> str:
    """step 1900–3000, most likely 2400"""
    told = found.forecast
    steps = f"step {_span(str(told.low_step), str(told.high_step))}"
    return steps if told.low_step == told.high_step else f"{steps}, most likely {told.likely_step}"


def cost_in_words(found: PricedForecast) -> str:
    """$0.20–$0.60 more; empty until the pace is measured."""
    costs = found.to_go_usd
    return "" if costs is None else f"{_span(dollars_of(costs.low), dollars_of(costs.high))} more"


def improvement_in_words(found: PricedForecast) -> list[str]:
    """What continuing is worth: the best value 0.0600 better by then, 0.2000 for each further $"""
    better = f"best value {_amount(found.forecast.improvement)} better by then"
    if found.improvement_per_usd is None:
        return [better]
    return [better, f"{_amount(found.improvement_per_usd)} for each further $"]


def forecast_lines(found: PricedForecast, max_steps: int) -> list[str]:
    """The report's section."""
    told, costs = found.forecast, found.to_go_usd
    lines = [f"End of the run, forecast from {counted(told.checks, 'check')}"]
    if told.low_step == told.high_step:
        lines.append(f"  at step {told.high_step}")
    else:
        lines.append(
            f"  most likely at step {told.likely_step}; 8 times out of 10 between step "
            f"{told.low_step} and {told.high_step}"
        )
    if told.high_step >= max_steps:
        lines.append(f"  early stopping may not fire before max_steps, {max_steps}")
    if costs is not None:
        times = (told.low_seconds, told.high_seconds)
        lines.append(
            f"  that is {_span(*(duration(seconds) for seconds in times))} and "
            f"{_span(dollars_of(costs.low), dollars_of(costs.high))} from now on, most likely "
            f"{duration(told.likely_seconds)} and {dollars_of(costs.likely)}"
        )
    lines.append(f"  until then the best value should improve by {_amount(told.improvement)}")
    if found.improvement_per_usd is not None:
        lines[-1] += f": by {_amount(found.improvement_per_usd)} for each further dollar"
    return lines


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low}–{high}"


def _amount(improvement: float) -> str:
    """As values are shown, or 0 if that would show nothing."""
    return value(improvement) if improvement >= 0.00005 else "0"
