"""An instance's forecast of the whole run, made once it has measured some steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cost.interval import Interval
from fintts_cost.money import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_cli.runs.bill.billing import Bill
    from fintts_cli.runs.status.view import RunView


@dataclass(frozen=True, slots=True)
class Replanned:
    """The forecast, which ignores early stopping and the deadline."""

    step: int
    """finished by then"""
    at: datetime
    seconds: Interval
    """billed by all instances of the run, from the first request to max_steps"""
    usd: Interval
    checks_that_fit: int
    """before the deadline"""

    def to_json(self) -> dict[str, object]:
        """The forecast in the report's document."""
        return {
            "step": self.step,
            "measured_at": self.at.isoformat(),
            "billed_seconds": self.seconds.to_json(),
            "cost_usd": self.usd.to_json(),
            "checks_that_fit": self.checks_that_fit,
        }


def replanned(view: RunView) -> Replanned | None:
    """The re-plan in the heartbeat; None if the trainer has made none."""
    told = view.heartbeat and view.heartbeat.replan
    if not told:
        return None
    before = _billed_until(view.bill, told.measured_at)
    left = Interval(told.seconds_left.low, told.seconds_left.likely, told.seconds_left.high)
    seconds = Interval(*(before + each for each in left))
    spent = _usd_until(view.bill, told.measured_at)
    rate = float(view.hourly_rate_usd) / SECONDS_PER_HOUR
    usd = Interval(*(spent + each * rate for each in left))
    return Replanned(told.step, told.measured_at, seconds, usd, told.checks_that_fit)


def _billed_until(bill: Bill, moment: datetime) -> float:
    earlier = bill.earlier.seconds if bill.earlier else 0.0
    return earlier + sum(_until(span.began, span.seconds, moment) for span in bill.spans)


def _usd_until(bill: Bill, moment: datetime) -> float:
    earlier = float(bill.earlier.usd) if bill.earlier else 0.0
    return earlier + sum(
        _until(span.began, span.seconds, moment) * float(span.hourly_rate_usd) / SECONDS_PER_HOUR
        for span in bill.spans
    )


def _until(began: datetime, seconds: float, moment: datetime) -> float:
    return min(max((moment - began).total_seconds(), 0.0), seconds)
