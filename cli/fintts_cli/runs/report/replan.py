"""An instance's forecast of the whole run, made once it has measured some steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.runs.report.stored import teardown_seconds
from fintts_cost.interval import Interval
from fintts_cost.money import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fintts_cli.runs.bill.billing import Bill
    from fintts_cli.runs.status.view import RunView
    from fintts_store.runs.records import SecondsRange


@dataclass(frozen=True, slots=True)
class Replanned:
    """The forecast, which ignores early stopping and the deadline."""

    step: int
    """finished by then"""
    at: datetime
    seconds: Interval
    """billed by all instances of the run, from the first request to max_steps, and the teardown"""
    usd: Interval
    checks_that_fit: int
    """before the deadline"""
    phases: Mapping[str, Interval]
    """seconds of each phase of the whole run; only the teardown from earlier versions"""

    def to_json(self) -> dict[str, object]:
        """The forecast in the report's document."""
        return {
            "step": self.step,
            "measured_at": self.at.isoformat(),
            "billed_seconds": self.seconds.to_json(),
            "cost_usd": self.usd.to_json(),
            "checks_that_fit": self.checks_that_fit,
            "phases": {phase: seconds.to_json() for phase, seconds in self.phases.items()},
        }


def replanned(view: RunView) -> Replanned | None:
    """The re-plan in the heartbeat; None if the trainer has made none."""
    told = view.heartbeat and view.heartbeat.replan
    if not told:
        return None
    phases = _phases(view, told.phase_seconds)
    rest = zip(_interval(told.seconds_left), phases["teardown"], strict=True)
    left = Interval(*(seconds + teardown for seconds, teardown in rest))
    seconds = left.plus(_billed_until(view.bill, told.measured_at))
    spent = _usd_until(view.bill, told.measured_at)
    rate = float(view.hourly_rate_usd) / SECONDS_PER_HOUR
    usd = left.times(rate).plus(spent)
    return Replanned(told.step, told.measured_at, seconds, usd, told.checks_that_fit, phases)


def _phases(view: RunView, told: Mapping[str, SecondsRange]) -> dict[str, Interval]:
    """The phases as billing sees them: set-up begins with the request, and teardown is the last
    upload, then what the estimate has for the end of the instance."""
    phases = {phase: _interval(seconds) for phase, seconds in told.items()}
    heartbeat = view.heartbeat
    if "setup" in phases and heartbeat is not None and heartbeat.claim == 1:
        before = (heartbeat.started_at - view.started_at).total_seconds()
        phases["setup"] = phases["setup"].plus(max(before, 0.0))
    upload = phases.get("teardown", Interval.exactly(0.0))
    removal = teardown_seconds(view.record, view.gpus)
    return phases | {"teardown": upload.plus(removal)}


def _interval(told: SecondsRange) -> Interval:
    return Interval(told.low, told.likely, told.high)


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
