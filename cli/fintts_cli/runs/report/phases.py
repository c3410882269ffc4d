"""Phase by phase: estimated and actual time and money, and the reasons for the difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.runs.report import stored
from fintts_cost.money import cost_usd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from pydantic import JsonValue

    from fintts_cli.runs.status.view import RunView
    from fintts_store.runs.records import MetricRow, Result

SAMPLES, ENCODING = "samples", "encoding"
PHASES = ("setup", ENCODING, "training", "validation", "checkpoint", SAMPLES, "teardown")
OPTIONAL = (SAMPLES, ENCODING)
"""phases that many runs do not have"""


class Times(NamedTuple):
    """A number of pieces of work, and the seconds that each takes."""

    pieces: int
    seconds_each: float


@dataclass(frozen=True, slots=True)
class PhaseDifference:
    """One part of the run; what is unknown is None."""

    phase: str
    estimated_seconds: float | None
    actual_seconds: float | None
    estimated_usd: Decimal | None = None
    actual_usd: Decimal | None = None
    estimated_times: Times | None = None
    actual_times: Times | None = None

    @property
    def difference_seconds(self) -> float | None:
        """Positive if it took longer than estimated."""
        if self.estimated_seconds is None or self.actual_seconds is None:
            return None
        return self.actual_seconds - self.estimated_seconds

    @property
    def by_count_seconds(self) -> float | None:
        """The part of the difference that is due to more or fewer pieces of work."""
        if self.estimated_times is None or self.actual_times is None:
            return None
        more = self.actual_times.pieces - self.estimated_times.pieces
        return more * self.estimated_times.seconds_each

    @property
    def by_pace_seconds(self) -> float | None:
        """The part of the difference that is due to slower or faster work."""
        if self.estimated_times is None or self.actual_times is None:
            return None
        slower = self.actual_times.seconds_each - self.estimated_times.seconds_each
        return self.actual_times.pieces * slower

    def to_json(self) -> dict[str, float | int | None]:
        """The figures."""
        return {
            "estimated_seconds": self.estimated_seconds,
            "actual_seconds": self.actual_seconds,
            "difference_seconds": self.difference_seconds,
            "by_count_seconds": self.by_count_seconds,
            "by_pace_seconds": self.by_pace_seconds,
            "estimated_usd": _rounded(self.estimated_usd),
            "actual_usd": _rounded(self.actual_usd),
            "estimated_count": self.estimated_times and self.estimated_times.pieces,
            "actual_count": self.actual_times and self.actual_times.pieces,
        }


def differences(
    estimate: Mapping[str, JsonValue],
    estimated_rate: Decimal,
    view: RunView,
    result: Result | None,
    metrics: Sequence[MetricRow],
) -> tuple[PhaseDifference, ...]:
    """Every phase: the estimate at its own hourly rate, the actual time at the billed one. A run
    that speaks nothing has no samples, and one on codes no encoding."""
    actual = actual_seconds(view, result)
    return tuple(
        PhaseDifference(
            phase,
            planned := stored.seconds(estimate, f"{phase}_seconds"),
            taken := actual.get(phase),
            None if planned is None else cost_usd(planned, estimated_rate),
            None if taken is None else cost_usd(taken, view.hourly_rate_usd),
            _times(_estimated_count(estimate, phase), planned),
            _times(_actual_count(view, metrics, phase), taken),
        )
        for phase in PHASES
        if phase not in OPTIONAL
        or stored.seconds(estimate, f"{phase}_seconds")
        or actual.get(phase)
    )


def seconds_per_step(phases: Sequence[PhaseDifference], steps: int) -> float | None:
    """The actual seconds of a step, with its share of checks, saves and samples, if known."""
    known = [
        phase.actual_seconds
        for phase in phases
        if phase.phase in ("training", "validation", "checkpoint", SAMPLES)
        and phase.actual_seconds is not None
    ]
    return sum(known) / steps if known and steps else None


def _times(count: int | None, seconds: float | None) -> Times | None:
    return Times(count, seconds / count) if count and seconds is not None else None


def _estimated_count(estimate: Mapping[str, JsonValue], phase: str) -> int | None:
    if phase == "training":
        return stored.count(estimate, "scenarios", "expected", "stop_step")
    if phase == "validation":
        return stored.count(estimate, "validation_checks")
    return None


def _actual_count(view: RunView, metrics: Sequence[MetricRow], phase: str) -> int | None:
    if phase == "training":
        return view.step
    if phase == "validation":
        return sum(1 for row in metrics if row.kind == "validation" and row.step > 0)
    return None


def actual_seconds(view: RunView, result: Result | None) -> dict[str, float]:
    """Seconds by part, as the trainer recorded them; time that the trainer could not see is added
    here.

    Billing starts at the request, before the trainer starts, and ends when the instance is gone,
    after the trainer has ended. After a preemption these moments belong to another instance, so the
    trainer's own figures stay unchanged.
    """
    if result is None:
        return {}
    seconds = dict(result.phase_seconds)
    if result.claims == 1 and seconds:
        before = (result.started_at - view.started_at).total_seconds()
        after = (view.ended_at - result.ended_at).total_seconds() if view.ended_at else 0.0
        seconds["setup"] = seconds.get("setup", 0.0) + max(before, 0.0)
        seconds["teardown"] = seconds.get("teardown", 0.0) + max(after, 0.0)
    return seconds


def _rounded(amount: Decimal | None) -> float | None:
    return None if amount is None else float(round(amount, 4))
