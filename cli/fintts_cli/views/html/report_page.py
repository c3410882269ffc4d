"""What the page of one run shows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, Self

from fintts_cli.views.html.bars import Bars, money_of, step_of, timeline_of
from fintts_cli.views.html.chart import Chart, Placed
from fintts_cli.views.html.curves import charts_of
from fintts_cli.views.html.tables import Grid
from fintts_cli.views.report_words import (
    clock,
    device_lines,
    epoch_of,
    evidence,
    monitored,
    plan_lines,
    price_line,
    reason_of,
    rule_line,
    sample_lines,
    saved_line,
    signed,
)
from fintts_cli.views.runs import so_far
from fintts_cli.views.settings_rows import settings_of
from fintts_cli.views.stop_forecast import forecast_lines
from fintts_cli.views.units import at_most, duration, size, value
from fintts_cost.money import NOTHING, dollars, hourly

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fintts_cli.runs.report.report import RunReport

STRETCHES = ("provisioning", "setup", "training", "teardown")


class Card(NamedTuple):
    """A figure that comes first."""

    label: str
    figure: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The values of `report.html.j2`; all text comes from outside until the template escapes it."""

    run: str
    where: str
    warnings: Sequence[str]
    cards: Sequence[Card]
    charts: Sequence[Chart]
    has_replan: bool
    money: Bars
    plan_lines: Sequence[str]
    phases: Grid
    reasons: Sequence[tuple[str, str]]
    forecast: Sequence[str]
    timeline: Bars | None
    timeline_key: Sequence[Placed]
    events: Grid
    cost: Sequence[tuple[str, str]]
    ledger: Grid | None
    rule: Grid | None
    rule_line: str
    heads: Grid | None
    checkpoints: Grid | None
    step: Bars | None
    device: Sequence[str]
    versions: Sequence[tuple[str, str]]
    config: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, report: RunReport) -> Self:
        """The page of a report."""
        view, found = report.view, report.view.stop_forecast
        timeline = timeline_of(report)
        phases = [part.kind for row in timeline.rows for part in row.parts] if timeline else []
        return cls(
            run=view.run,
            where=f"{view.ending} · {view.infra} · {view.gpus}",
            warnings=[*report.warnings, *([view.message] if view.message else [])],
            cards=list(_cards(report)),
            charts=charts_of(report),
            has_replan=report.replan is not None,
            money=money_of(report),
            plan_lines=plan_lines(report),
            phases=_phases(report),
            reasons=[(p.phase, reason) for p in report.phases if (reason := reason_of(p))],
            forecast=[] if found is None else forecast_lines(found, view.max_steps),
            timeline=timeline,
            timeline_key=[Placed(kind, kind) for kind in STRETCHES if kind in phases],
            events=_events(report),
            cost=list(_cost(report)),
            ledger=_ledger(report),
            rule=_rule(report),
            rule_line=rule_line(report),
            heads=_heads(report),
            checkpoints=_checkpoints(report),
            step=step_of(report),
            device=[] if report.step is None else device_lines(report.step),
            versions=list(_versions(report)),
            config=sorted(settings_of(report.record.config).items()),
        )


def _cards(report: RunReport) -> Iterator[Card]:
    view = report.view
    planned = report.estimated_cost_usd
    yield Card(
        "Cost", so_far(view), NOTHING if planned is None else f"estimated {dollars(planned)}"
    )
    seconds = report.estimated_seconds
    estimated = NOTHING if seconds is None else f"estimated {duration(seconds)}"
    yield Card("Billed time", duration(view.billed_seconds), estimated)
    at = NOTHING if view.best_step is None else f"at step {view.best_step:,}"
    yield Card(f"Best {report.stopping.config.monitor}", value(view.best_value), at)
    yield Card("Steps", f"{view.step:,}", f"of {view.max_steps:,}")


def _phases(report: RunReport) -> Grid:
    plan = report.replan
    times = ["", "estimate", "re-plan", "actual", "difference"]
    header = [*times, "$ estimate", "$ re-plan", "$ actual"]
    rows = [
        [
            phase.phase,
            duration(phase.estimated_seconds),
            NOTHING,
            duration(phase.actual_seconds),
            signed(phase.difference_seconds),
            dollars(phase.estimated_usd),
            NOTHING,
            dollars(phase.actual_usd),
        ]
        for phase in report.phases
    ]
    planned = report.estimated_seconds
    rows.append(
        [
            "billed",
            duration(planned),
            NOTHING if plan is None else duration(plan.seconds.likely),
            duration(report.view.billed_seconds),
            signed(report.difference_seconds),
            dollars(report.estimated_cost_usd),
            NOTHING if plan is None else dollars(Decimal(str(plan.usd.likely))),
            so_far(report.view),
        ]
    )
    if plan is None:
        header, *rows = [[*row[:2], *row[3:6], row[7]] for row in (header, *rows)]
    return Grid(header, rows, kinds={len(rows) - 1: "total"})


def _events(report: RunReport) -> Grid:
    rows = [
        (
            clock(event.at),
            event.what,
            NOTHING if event.step is None else f"{event.step:,}",
            epoch_of(report, event.step),
            value(event.loss),
        )
        for event in report.events
    ]
    return Grid(("at", "event", "step", "epoch", "loss"), rows, text=frozenset({0, 1}))


def _cost(report: RunReport) -> Iterator[tuple[str, str]]:
    cost = at_most(report.cost_usd, is_at_most=report.view.cost_is_at_most)
    rate = hourly(report.hourly_rate_usd)
    yield "billed", f"{cost} for {duration(report.view.billed_seconds)} at {rate}"
    yield "price", price_line(report)
    if report.budget_usd is not None:
        yield "budget", dollars(report.budget_usd)
    if lines := sample_lines(report):
        yield "a sample", " · ".join(lines)
    if report.saved is not None:
        yield "saved", saved_line(report)


def _ledger(report: RunReport) -> Grid | None:
    rows: list[Sequence[str]] = [
        (
            str(span.launch),
            span.who,
            span.gpus or NOTHING,
            hourly(span.hourly_rate_usd),
            clock(span.began),
            clock(span.up_at),
            clock(span.ended),
            evidence(span),
            duration(span.seconds),
            at_most(span.usd, is_at_most=span.is_at_most),
        )
        for span in report.launches
    ]
    before = report.view.bill.earlier
    if before is not None:
        spent = at_most(before.usd, is_at_most=before.is_at_most)
        rows.append(("before", *["–"] * 7, duration(before.seconds), spent))
    header = ("launch", "who", "GPU", "rate", "asked", "up", "gone", "known from", "billed", "cost")
    return Grid(header, rows, text=frozenset({0, 1, 2})) if rows else None


def _rule(report: RunReport) -> Grid | None:
    stopping = report.stopping
    if not stopping.checks:
        return None
    patience = stopping.config.patience
    shown = stopping.checks[-2 * patience :]
    rows = [
        (
            f"{check.step:,}",
            monitored(check.value),
            value(check.best_value),
            f"{check.without_improvement} of {patience}",
        )
        for check in shown
    ]
    kinds = {
        place: "stops" if check.stops else "best"
        for place, check in enumerate(shown)
        if check.stops or check.step == report.view.best_step
    }
    return Grid(("step", "value", "best so far", "without a new best"), rows, kinds=kinds)


def _heads(report: RunReport) -> Grid | None:
    rows = [
        (head.name, *map(value, (head.uniform_guess, head.before, head.best, head.last)))
        for head in report.heads
    ]
    header = ("head", "uniform guess", "before", "at the best", "last")
    return Grid(header, rows) if rows else None


def _checkpoints(report: RunReport) -> Grid | None:
    rows = [
        (
            f"{kept.manifest.step:,}",
            size(kept.manifest.size_bytes),
            value(kept.manifest.value),
            ", ".join(kept.reasons),
        )
        for kept in report.kept.keep
    ]
    return Grid(("step", "size", "value", "why"), rows) if rows else None


def _versions(report: RunReport) -> Iterator[tuple[str, str]]:
    record = report.record
    yield "fintts", record.fintts_version
    yield "base model", f"{record.base_model.name}, {record.base_model.digest}"
    if record.base_model.revision:
        yield "revision", record.base_model.revision
    data = record.dataset
    yield "data", f"{data.utterances:,} utterances, {data.frames:,} frames, {data.sha256}"
    if record.initial_adapter is not None:
        yield "started from", record.initial_adapter.name
    if report.prompt:
        yield "prompt", report.prompt
    if record.bundle_digest:
        yield "code", record.bundle_digest
    yield "requested", clock(record.created_at)
