"""A run's report as text: estimate against actual, loss curve, checks, checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.runs.status.checks import points_of
from fintts_cli.views.grid import Grid
from fintts_cli.views.report import tables
from fintts_cli.views.report.scores import scores
from fintts_cli.views.report.words import (
    device_lines,
    plan_lines,
    price_line,
    reasons,
    rule_line,
    sample_lines,
    saved_line,
)
from fintts_cli.views.status.curve import plot
from fintts_cli.views.status.stop_forecast import forecast_lines
from fintts_cli.views.units import at_most, value
from fintts_cost.money import NOTHING, dollars, hourly

if TYPE_CHECKING:
    from fintts_cli.runs.report.report import RunReport
    from fintts_store.runs.records import MetricRow

SHOWN_CHECKS = 20


def render_report(report: RunReport) -> str:
    """The whole report, section by section."""
    sections = [
        _head(report),
        _phases(report),
        _reasons(report),
        _money(report),
        _forecast(report),
        _launches(report),
        _timeline(report),
        _step(report),
        _curve(report),
        _heads(report),
        _rule(report),
        _checks(report),
        _titled("Samples, measured", scores(report.metrics, report.view.best_step)),
        _checkpoints(report),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _head(report: RunReport) -> list[str]:
    view = report.view
    lines = [f"Run {view.run} on {view.infra}: {view.ending}"]
    if view.best_step is not None:
        monitor = report.result.monitor if report.result else report.stopping.config.monitor
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
    header = "Time and money, planned and actual"
    if report.estimated_stop_step is not None:
        where = "ended" if report.view.has_ended else "now"
        planned = report.estimated_stop_step
        header += f" (estimated to step {planned}, {where} at {report.view.step})"
    plans = [f"  {line}" for line in plan_lines(report)]
    return [header, tables.phases(report).render(), *plans]


def _reasons(report: RunReport) -> list[str]:
    lines = [f"  {name}: {reason}" for name, reason in reasons(report)]
    return ["Reasons for the difference", *lines] if lines else []


def _money(report: RunReport) -> list[str]:
    cost = at_most(report.cost_usd, is_at_most=report.view.cost_is_at_most)
    lines = [
        f"Cost {cost}, estimated {dollars(report.estimated_cost_usd)}",
        f"  {report.view.billed_seconds:,.0f} s billed at {hourly(report.hourly_rate_usd)}"
        f" ({price_line(report)})",
    ]
    if report.budget_usd is not None:
        lines.append(f"  budget {dollars(report.budget_usd)}")
    lines += [f"  {line}" for line in (*sample_lines(report), saved_line(report)) if line]
    return lines


def _forecast(report: RunReport) -> list[str]:
    found = report.view.stop_forecast
    return [] if found is None else forecast_lines(found, report.view.max_steps)


def _launches(report: RunReport) -> list[str]:
    return _titled("Launches, times in UTC", tables.launches(report))


def _timeline(report: RunReport) -> list[str]:
    return _titled("Timeline, times in UTC", tables.events(report))


def _titled(title: str, grid: Grid | None) -> list[str]:
    return [] if grid is None else [title, grid.render()]


def _step(report: RunReport) -> list[str]:
    step = report.step
    if step is None:
        return []
    times = {**step.parts, "step": step.seconds}
    rows = [
        (part, f"{seconds * 1000:,.1f} ms", f"{seconds / step.seconds:.1%}")
        for part, seconds in times.items()
    ]
    return [
        "One step, measured (medians)",
        Grid(("", "time", "share"), rows).render(),
        *(f"  {line}" for line in device_lines(step)),
    ]


def _curve(report: RunReport) -> list[str]:
    drawn = plot(points_of(report.metrics, "train", "loss"))
    if not drawn:
        return []
    lines = ["Training loss (nats)", *(f"  {line}" for line in drawn)]
    if report.uniform_guess is not None:
        lines.append(f"  a uniform guess over all tokens and codes: {value(report.uniform_guess)}")
    return lines


def _heads(report: RunReport) -> list[str]:
    return _titled("Validation loss by head (nats)", tables.heads(report))


def _rule(report: RunReport) -> list[str]:
    title = f"Early stopping\n  {rule_line(report)}"
    return _titled(title, tables.rule(report))


def _checks(report: RunReport) -> list[str]:
    rows = [row for row in report.metrics if row.kind == "validation"]
    if not rows:
        return []
    hidden = len(rows) - SHOWN_CHECKS
    title = "Validation checks" + (
        f" (the last {SHOWN_CHECKS} of {len(rows)})" if hidden > 0 else ""
    )
    header = ("step", "loss", "token loss", "code loss", "top-5", "")
    shown = [_check_row(row, report.view.best_step) for row in rows[-SHOWN_CHECKS:]]
    return [title, Grid(header, shown, text=0).render()]


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
    found = _titled("Checkpoints kept", tables.checkpoints(report))
    return found or ["Checkpoints: none"]
