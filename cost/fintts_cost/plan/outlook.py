"""What a run may take and cost, as a range: its pace, its stop and, on spot, its preemptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.interval import Interval
from fintts_cost.money import SECONDS_PER_HOUR
from fintts_cost.spot.preemptions import (
    PREEMPTIONS_PER_HOUR,
    WAITING_SECONDS,
    Interruption,
    with_preemptions,
)

if TYPE_CHECKING:
    from fintts_cost.estimate.bill import Bill
    from fintts_cost.estimate.result import Estimate


class Outlook(NamedTuple):
    """Low: the expected stop at the fast end of the pace. High: all steps at the slow end."""

    seconds: Interval
    """from the request of the instance to its end, with the time without an instance"""
    billed_seconds: Interval
    usd: Interval
    """not rounded"""
    preemptions: Interval
    """none on demand"""

    def to_json(self) -> dict[str, object]:
        """For a JSON document."""
        return {
            "total_seconds": self.seconds.to_json(),
            "billed_seconds": self.billed_seconds.to_json(),
            "cost_usd": self.usd.to_json(),
            "preemptions": self.preemptions.to_json(),
        }


def outlook_of(estimate: Estimate, *, spot: bool) -> Outlook:
    """The range of the run's time and cost.

    Args:
        spot: whether the instance may be taken away.
    """
    given = estimate.given
    bills = (
        given.at_fast_end.bill(given.stop_step),
        estimate.expected,
        given.at_slow_end.bill(given.max_steps),
    )
    rates = PREEMPTIONS_PER_HOUR if spot else Interval.exactly(0.0)
    ends = [
        _end(bill, estimate, rate, wait)
        for bill, rate, wait in zip(bills, rates, WAITING_SECONDS, strict=True)
    ]
    seconds, billed, usd, losses = (Interval(*each) for each in zip(*ends, strict=True))
    return Outlook(seconds, billed, usd, losses)


def _end(
    bill: Bill, estimate: Estimate, rate: float, wait: float
) -> tuple[float, float, float, float]:
    given, seconds = estimate.given, float(bill.total_seconds)
    step = float(bill.durations.training_seconds) / max(bill.stop_step, 1)
    lost = Interruption(
        rework_seconds=given.checkpoint_every * step / 2,
        setup_seconds=float(given.setup_seconds),
        waiting_seconds=wait,
    )
    expected = with_preemptions(seconds, rate / SECONDS_PER_HOUR, lost)
    hourly = float(bill.price.hourly_rate_usd)
    usd = expected.billed_seconds * hourly / SECONDS_PER_HOUR
    return expected.seconds, expected.billed_seconds, usd, expected.preemptions
