"""When a run ends, as its trainer forecasts it, with the price of getting there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cost.interval import Interval
from fintts_cost.money import cost_to_finish_usd

if TYPE_CHECKING:
    from decimal import Decimal

    from fintts_store.runs.records import StopForecast


@dataclass(frozen=True, slots=True)
class PricedForecast:
    """The trainer's forecast, and what prices it."""

    forecast: StopForecast
    hourly_rate_usd: Decimal
    """of the instance"""
    ending_seconds: float = 0.0
    """from the end of the trainer until the instance is gone"""

    @property
    def to_go_usd(self) -> Interval | None:
        """Dollars from now until the instance is gone, P10 to P90; None until the pace is
        measured."""
        return self._usd(self.ending_seconds)

    def _usd(self, ending_seconds: float) -> Interval | None:
        told = self.forecast
        low, likely, high = (
            cost_to_finish_usd(
                None if seconds is None else seconds + ending_seconds, self.hourly_rate_usd
            )
            for seconds in (told.low_seconds, told.likely_seconds, told.high_seconds)
        )
        if low is None or likely is None or high is None:
            return None
        return Interval(float(low), float(likely), float(high))

    @property
    def improvement_per_usd(self) -> float | None:
        """By how much each further dollar of training is expected to improve the best value; None
        if nothing more is paid, or the pace is not measured."""
        costs = self._usd(0.0)
        return self.forecast.improvement / costs.likely if costs and costs.likely else None

    def to_json(self) -> dict[str, object]:
        """The forecast in the documents of `ps`, `watch` and `report`."""
        told, costs = self.forecast, self.to_go_usd
        seconds = (told.low_seconds, told.likely_seconds, told.high_seconds)
        return {
            "checks": told.checks,
            "step": _range(told.low_step, told.likely_step, told.high_step),
            "seconds_to_go": None if told.likely_seconds is None else _range(*seconds),
            "cost_to_go_usd": costs and _range(*(round(usd, 4) for usd in costs)),
            "improvement": told.improvement,
            "improvement_per_usd": self.improvement_per_usd,
        }


def _range(low: object, likely: object, high: object) -> dict[str, object]:
    return {"low": low, "likely": likely, "high": high}
