"""The charts of a report, and of a comparison of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.runs.status.checks import PLACE_OF, points_of
from fintts_cli.views.html.chart import Chart, Level, Line, Mark, chart
from fintts_cli.views.report.scores import TITLES
from fintts_cli.views.status.stop_forecast import step_in_words
from fintts_cli.views.units import value
from fintts_inputs.config import MEASURED_BY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fintts_cli.runs.report.report import RunReport
    from fintts_cli.runs.status.checks import Points
    from fintts_inputs.config import Monitor

LONGEST_AHEAD = 2
"""times the steps done; a longer axis would leave the plot mostly empty"""
ACCURACY: Monitor = "val/top5_accuracy"
LOSSES = ("val/loss", "train/loss")
RUN_KINDS = 8
"""colours of compared runs"""


def charts_of(report: RunReport) -> list[Chart]:
    """Losses, then each head, the accuracy, and what was measured on samples."""
    found = [_losses(report), *_heads(report), _accuracy(report), *_samples(report)]
    return [one for one in found if one is not None]


def compared(reports: Sequence[RunReport]) -> list[Chart]:
    """The monitored value of each run by step: one chart for each monitor."""
    monitors: dict[Monitor, None] = dict.fromkeys(
        report.stopping.config.monitor for report in reports
    )
    found = [
        chart(
            f"{monitor} by step",
            [
                Line(report.view.run, f"run-{place % RUN_KINDS}", _checks(report, monitor))
                for place, report in enumerate(reports)
                if report.stopping.config.monitor == monitor
            ],
        )
        for monitor in monitors
    ]
    return [one for one in found if one is not None]


def _checks(report: RunReport, monitor: Monitor) -> Points:
    return points_of(report.metrics, *PLACE_OF[monitor])


def _losses(report: RunReport) -> Chart | None:
    is_loss = report.stopping.config.monitor in LOSSES
    return chart(
        "Loss (nats)",
        [
            Line("training", "train", points_of(report.metrics, "train", "loss")),
            Line("validation", "validation", points_of(report.metrics, "validation", "loss")),
        ],
        last_step=_last_step(report),
        dots=[*_best(report)] if is_loss else (),
        bands=_bands(report),
        levels=[] if report.uniform_guess is None else [_guess(report.uniform_guess)],
    )


def _last_step(report: RunReport) -> float:
    view = report.view
    ahead = view.max_steps
    if view.stop_forecast is not None:
        ahead = view.stop_forecast.forecast.high_step
    return float(min(ahead, LONGEST_AHEAD * max(view.step, 1)))


def _best(report: RunReport) -> Iterator[tuple[str, str, int, float]]:
    view = report.view
    if view.best_step is not None and view.best_value is not None:
        text = f"best: {value(view.best_value)} at step {view.best_step:,}"
        yield "best", text, view.best_step, view.best_value


def _bands(report: RunReport) -> Iterator[Mark]:
    """The checks without improvement, the forecast of the end, the saved steps, the checkpoints."""
    view, stopping = report.view, report.stopping
    if stopping.config.enabled and stopping.checks:
        last = stopping.checks[-1]
        if last.without_improvement:
            first = stopping.checks[-last.without_improvement - 1 :][0].step
            text = f"{last.without_improvement} of {stopping.config.patience} without improvement"
            yield Mark("patience", text, first, last.step)
    if view.stop_forecast is not None:
        told = view.stop_forecast.forecast
        text = f"ends at {step_in_words(view.stop_forecast)}"
        yield Mark("forecast", text, told.low_step, told.high_step)
        yield Mark("likely", f"most likely at {told.likely_step:,}", told.likely_step)
    if report.saved is not None:
        yield Mark("saved", f"saved: {report.saved.steps:,} steps", view.step, view.max_steps)
    for kept in report.kept.keep:
        step = kept.manifest.step
        yield Mark("checkpoint", f"checkpoint of step {step:,}", step)


def _guess(loss: float) -> Level:
    return Level(f"uniform guess {loss:.3f}", loss)


def _heads(report: RunReport) -> Iterator[Chart | None]:
    if len(report.heads) < 2:
        return
    for head in report.heads[:-1]:
        key = f"{head.name}_loss"
        yield chart(
            f"Loss of the {head.name} head (nats)",
            [
                Line("training", "train", points_of(report.metrics, "train", key)),
                Line("validation", "validation", points_of(report.metrics, "validation", key)),
            ],
            levels=[_guess(head.uniform_guess)],
        )


def _accuracy(report: RunReport) -> Chart | None:
    is_monitored = report.stopping.config.monitor == ACCURACY
    return chart(
        "Top-5 accuracy",
        [Line("validation", "validation", _checks(report, ACCURACY))],
        dots=[*_best(report)] if is_monitored else (),
    )


def _samples(report: RunReport) -> Iterator[Chart | None]:
    """What was measured on the samples; the base model is at step 0."""
    for monitor in MEASURED_BY:
        name = PLACE_OF[monitor].name
        recorded = points_of(report.metrics, "eval", f"recordings_{name}")
        yield chart(
            f"{TITLES[name]} of the samples",
            [Line("samples", "validation", _checks(report, monitor))],
            dots=[*_best(report)] if report.stopping.config.monitor == monitor else (),
            levels=[Level(f"recordings {value(level)}", level) for _, level in recorded[:1]],
        )
