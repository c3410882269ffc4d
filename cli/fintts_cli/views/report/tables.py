"""The tables of a run's report, which its text and its page share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.runs.report.stored import steps_per_epoch
from fintts_cli.views.grid import Grid
from fintts_cli.views.status.runs import so_far
from fintts_cli.views.units import at_most, clock, duration, signed, size, value
from fintts_cost.money import NOTHING, cost_usd, dollars, dollars_of, hourly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.runs.report.phases import PhaseDifference
    from fintts_cli.runs.report.report import RunReport

PHASES = (
    *("", "estimate", "re-plan", "actual", "difference"),
    *("$ estimate", "$ re-plan", "$ actual"),
)
LAUNCHES = (
    *("launch", "who", "GPU", "rate", "asked", "up", "gone"),
    *("known from", "billed", "cost"),
)
REPLANNED = (2, 6)
"""columns that a run without a re-plan does not have"""


def phases(report: RunReport) -> Grid:
    """Plan, re-plan and actual by phase, in time and money; the last row has the sums."""
    rows = [PHASES, *(_phase(report, phase) for phase in report.phases), _billed(report)]
    if report.replan is None:
        rows = [
            tuple(cell for place, cell in enumerate(row) if place not in REPLANNED) for row in rows
        ]
    return Grid(rows[0], rows[1:], kinds={len(rows) - 2: "total"})


def _phase(report: RunReport, phase: PhaseDifference) -> tuple[str, ...]:
    plan = report.replan and report.replan.phases.get(phase.phase)
    rate = report.hourly_rate_usd
    return (
        phase.phase,
        duration(phase.estimated_seconds),
        duration(plan.likely) if plan else NOTHING,
        duration(phase.actual_seconds),
        signed(phase.difference_seconds),
        dollars(phase.estimated_usd),
        dollars(cost_usd(plan.likely, rate)) if plan else NOTHING,
        dollars(phase.actual_usd),
    )


def _billed(report: RunReport) -> tuple[str, ...]:
    plan = report.replan
    return (
        "billed",
        duration(report.estimated_seconds),
        NOTHING if plan is None else duration(plan.seconds.likely),
        duration(report.view.billed_seconds),
        signed(report.difference_seconds),
        dollars(report.estimated_cost_usd),
        NOTHING if plan is None else dollars_of(plan.usd.likely),
        so_far(report.view),
    )


def launches(report: RunReport) -> Grid | None:
    """Which laptop requested which instance, how its end is known, and its cost."""
    rows: list[Sequence[str]] = [
        (
            str(span.launch),
            span.who,
            span.gpus or NOTHING,
            hourly(span.hourly_rate_usd),
            clock(span.began),
            clock(span.up_at),
            clock(span.ended),
            NOTHING if span.evidence is None else str(span.evidence),
            duration(span.seconds),
            at_most(span.usd, is_at_most=span.is_at_most),
        )
        for span in report.launches
    ]
    before = report.view.bill.earlier
    if before is not None and rows:
        spent = at_most(before.usd, is_at_most=before.is_at_most)
        unknown = [NOTHING] * (len(LAUNCHES) - 3)
        rows.append(("before", *unknown, duration(before.seconds), spent))
    return Grid(LAUNCHES, rows, text=3) if rows else None


def events(report: RunReport) -> Grid | None:
    """What happened when."""
    rows = [
        (
            clock(event.at),
            event.what,
            NOTHING if event.step is None else f"{event.step:,}",
            _epoch(report, event.step),
            value(event.loss),
        )
        for event in report.events
    ]
    return Grid(("at", "event", "step", "epoch", "loss"), rows, text=2) if rows else None


def _epoch(report: RunReport, step: int | None) -> str:
    """Passes over the data at a step."""
    each = steps_per_epoch(report.record)
    return NOTHING if step is None or each is None else f"{step / each:.1f}"


def heads(report: RunReport) -> Grid | None:
    """The losses of each head beside its uniform guess."""
    rows = [
        (head.name, *map(value, (head.uniform_guess, head.before, head.best, head.last)))
        for head in report.heads
    ]
    header = ("head", "uniform guess", "before", "at the best", "last")
    return Grid(header, rows) if rows else None


def rule(report: RunReport) -> Grid | None:
    """The checks around the stop, as early stopping counts them; none without it."""
    stopping = report.stopping
    if not stopping.checks or not stopping.config.enabled:
        return None
    patience = stopping.config.patience
    shown = stopping.checks[-2 * patience :]
    rows = [
        (
            f"{check.step:,}",
            "not finite" if check.value is None else value(check.value),
            value(check.best_value),
            f"{check.without_improvement} of {patience}",
            "stop" if check.stops else "best" if check.step == report.view.best_step else "",
        )
        for check in shown
    ]
    kinds = {place: f"is-{row[-1]}" for place, row in enumerate(rows) if row[-1]}
    return Grid(("step", "value", "best so far", "without improvement", ""), rows, 0, kinds)


def checkpoints(report: RunReport) -> Grid | None:
    """What is kept, and why."""
    rows = [
        (
            str(kept.manifest.step),
            size(kept.manifest.size_bytes),
            value(kept.manifest.value),
            ", ".join(kept.reasons),
        )
        for kept in report.kept.keep
    ]
    return Grid(("step", "size", "value", "why"), rows, 0) if rows else None
