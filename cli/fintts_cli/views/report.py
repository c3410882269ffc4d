"""A run's report as text: estimate against actual, loss curve, checks, checkpoints."""

from __future__ import annotations

from datetime import UTC
from statistics import median
from typing import TYPE_CHECKING

from fintts_cli.views.curve import plot
from fintts_cli.views.stop_forecast import forecast_lines
from fintts_cli.views.units import at_most, duration, size, table, value
from fintts_cost.money import NOTHING, dollars, hourly
from fintts_store.runs.limits import VALUE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from fintts_cli.runs.bill.billing import Billed
    from fintts_cli.runs.status.report import PhaseDifference, RunReport
    from fintts_store.runs.records import MetricRow

SHOWN_CHECKS = 20
STEP_PARTS = ("data", "forward", "loss", "backward", "exchange", "optimizer")
BESIDE_THE_STEP = "logging"
NEEDED = ("seconds", "tokens_per_second", "padding_share", "mfu", "memory_peak_bytes")
NAMED = (*NEEDED, *(f"{part}_seconds" for part in (*STEP_PARTS, BESIDE_THE_STEP)))


def render_report(report: RunReport) -> str:
    """The whole report, section by section."""
    sections = [
        _head(report),
        _phases(report),
        _money(report),
        _forecast(report),
        _launches(report),
        _step(report),
        _curve(report),
        _checks(report),
        _checkpoints(report),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _head(report: RunReport) -> list[str]:
    view = report.view
    lines = [f"Run {view.run} on {view.infra}: {view.ending}"]
    if view.best_step is not None:
        monitor = report.result.monitor if report.result else "value"
        lines.append(f"  best {monitor} {value(view.best_value)} at step {view.best_step}")
    if report.result is not None:
        result = report.result
        if result.initial_validation_value is not None:
            lines.append(f"  before training {value(result.initial_validation_value)}")
        lines.append(f"  samples seen {result.samples_seen:,}; instances {result.claims}")
    if view.message:
        lines.append(f"  {view.message}")
    return lines


def _phases(report: RunReport) -> list[str]:
    expected = report.estimated_stop_step
    header = "Time, estimated and actual"
    if expected is not None:
        header += f" (estimated to step {expected}, ended at {report.view.step})"
    rows = [_phase_row(phase) for phase in report.phases]
    known = [p.estimated_seconds for p in report.phases if p.estimated_seconds is not None]
    total = sum(known) if known else None
    rows.append(
        (
            "billed",
            duration(total),
            duration(report.view.billed_seconds),
            _signed(None if total is None else report.view.billed_seconds - total),
        )
    )
    return [header, _indented(table(("", "ESTIMATE", "ACTUAL", "DIFFERENCE"), rows))]


def _phase_row(phase: PhaseDifference) -> tuple[str, ...]:
    return (
        phase.phase,
        duration(phase.estimated_seconds),
        duration(phase.actual_seconds),
        _signed(phase.difference_seconds),
    )


def _signed(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    return f"{'+' if seconds >= 0 else '-'}{duration(abs(seconds))}"


def _money(report: RunReport) -> list[str]:
    cost = at_most(report.cost_usd, is_at_most=report.view.cost_is_at_most)
    lines = [
        f"Cost {cost}, estimated {dollars(report.estimated_cost_usd)}",
        f"  {report.view.billed_seconds:,.0f} s billed at {hourly(report.hourly_rate_usd)}"
        f" (price from {report.price_source})",
    ]
    if report.budget_usd is not None:
        lines.append(f"  budget {dollars(report.budget_usd)}")
    return lines


def _forecast(report: RunReport) -> list[str]:
    found = report.view.stop_forecast
    return [] if found is None else forecast_lines(found, report.view.max_steps)


def _launches(report: RunReport) -> list[str]:
    """Which laptop requested which instance, and how its end is known."""
    spans = report.launches
    if not spans:
        return []
    rows = [
        (
            str(span.launch),
            span.who,
            span.gpus or NOTHING,
            hourly(span.hourly_rate_usd),
            _when(span.began),
            _when(span.up_at),
            _when(span.ended),
            _evidence(span),
            duration(span.seconds),
            at_most(span.usd, is_at_most=span.is_at_most),
        )
        for span in spans
    ]
    header = ("", "WHO", "GPU", "RATE", "ASKED", "UP", "GONE", "KNOWN FROM", "BILLED", "COST")
    lines = ["Launches, times in UTC", _indented(table(header, rows, left=4))]
    before = report.view.bill.earlier
    if before is not None:
        cost = at_most(before.usd, is_at_most=before.is_at_most)
        lines.append(f"  before the ledger: {duration(before.seconds)}, {cost}")
    return lines


def _when(moment: datetime | None) -> str:
    return NOTHING if moment is None else f"{moment.astimezone(UTC):%m-%d %H:%M:%S}"


def _evidence(span: Billed) -> str:
    return NOTHING if span.evidence is None else str(span.evidence)


def _step(report: RunReport) -> list[str]:
    """Median times of a step, so that warm-up steps and steps during a save do not distort them."""
    rows = [row.values for row in report.metrics if row.kind == "train"]
    medians = {name: median(found) for name in NAMED if (found := _finite(rows, name))}
    if not all(name in medians for name in NEEDED) or medians["seconds"] <= 0:
        return []
    whole = medians["seconds"]
    parts = [
        (part, medians[f"{part}_seconds"]) for part in STEP_PARTS if f"{part}_seconds" in medians
    ]
    rest = ("the rest", whole - sum(seconds for _, seconds in parts))
    logging = medians.get(f"{BESIDE_THE_STEP}_seconds")
    beside = [] if logging is None else [(f"{BESIDE_THE_STEP}, beside it", logging)]
    shown = [
        (part, f"{seconds * 1000:,.1f} ms", f"{seconds / whole:.1%}")
        for part, seconds in (*parts, rest, ("step", whole), *beside)
    ]
    return [
        "One step, measured (medians)",
        _indented(table(("", "TIME", "SHARE"), shown)),
        f"  {medians['tokens_per_second']:,.0f} tokens/s, of which none is padding; "
        f"{medians['padding_share']:.1%} of what the model reads is",
        f"  {medians['mfu']:.1%} of the rate at which this device multiplies matrices;"
        f" memory peak {size(round(medians['memory_peak_bytes']))}",
    ]


def _finite(rows: Sequence[Mapping[str, float]], name: str) -> list[float]:
    return [row[name] for row in rows if name in row and abs(row[name]) <= VALUE]


def _curve(report: RunReport) -> list[str]:
    rows = [row for row in report.metrics if row.kind == "train" and "loss" in row.values]
    drawn = plot([(row.step, row.values["loss"]) for row in rows])
    if not drawn:
        return []
    lines = ["Training loss (nats)", *(f"  {line}" for line in drawn)]
    if report.uniform_guess is not None:
        lines.append(f"  a uniform guess over all tokens and codes: {value(report.uniform_guess)}")
    return lines


def _checks(report: RunReport) -> list[str]:
    rows = [row for row in report.metrics if row.kind == "validation"]
    if not rows:
        return []
    hidden = len(rows) - SHOWN_CHECKS
    title = "Validation checks" + (
        f" (the last {SHOWN_CHECKS} of {len(rows)})" if hidden > 0 else ""
    )
    header = ("STEP", "LOSS", "TOKEN LOSS", "CODE LOSS", "TOP-5", "")
    shown = [_check_row(row, report.view.best_step) for row in rows[-SHOWN_CHECKS:]]
    return [title, _indented(table(header, shown, left=0))]


def _check_row(row: MetricRow, best_step: int | None) -> tuple[str, ...]:
    accuracy = row.values.get("top5_accuracy")
    return (
        str(row.step),
        value(row.values.get("loss")),
        value(row.values.get("token_loss")),
        value(row.values.get("code_loss")),
        NOTHING if accuracy is None else f"{100 * accuracy:.1f} %",
        "best" if row.step == best_step else "",
    )


def _checkpoints(report: RunReport) -> list[str]:
    if not report.kept.keep:
        return ["Checkpoints: none"]
    rows = [
        (
            str(kept.manifest.step),
            size(kept.manifest.size_bytes),
            value(kept.manifest.value),
            ", ".join(kept.reasons),
        )
        for kept in report.kept.keep
    ]
    return ["Checkpoints kept", _indented(table(("STEP", "SIZE", "VALUE", "WHY"), rows, left=0))]


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
