"""The values on the page of one run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Self

from fintts_cli.views.html.bars import Bars, money_of, step_of, timeline_of
from fintts_cli.views.html.chart import Chart, Placed
from fintts_cli.views.html.curves import charts_of
from fintts_cli.views.html.data_url import data_url
from fintts_cli.views.mel_picture import mel_picture
from fintts_cli.views.report import tables
from fintts_cli.views.report.settings_rows import settings_of
from fintts_cli.views.report.words import (
    device_lines,
    plan_lines,
    price_line,
    reasons,
    recordings_line,
    rule_line,
    sample_lines,
    saved_line,
)
from fintts_cli.views.status.runs import so_far
from fintts_cli.views.status.stop_forecast import forecast_lines
from fintts_cli.views.units import at_most, clock, duration, value
from fintts_cost.money import NOTHING, dollars, hourly

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fintts_cli.runs.report.report import RunReport
    from fintts_cli.speech.stored import Heard
    from fintts_cli.views.grid import Grid

STRETCHES = ("provisioning", "setup", "training", "teardown")


class Card(NamedTuple):
    """A figure at the top of the page."""

    label: str
    figure: str
    text: str


class Player(NamedTuple):
    """A sample: who speaks, and the sound and its mel spectrogram as data URLs."""

    name: str
    url: str
    picture: str


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The values of `report.html.j2`. No text is trusted: the template escapes it."""

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
    events: Grid | None
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
    samples: Sequence[tuple[str, Sequence[Player]]]

    @classmethod
    def of(cls, report: RunReport, heard: Sequence[Heard] = ()) -> Self:
        """The page of a report, and of samples of its run."""
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
            phases=tables.phases(report),
            reasons=reasons(report),
            forecast=[] if found is None else forecast_lines(found, view.max_steps),
            timeline=timeline,
            timeline_key=[Placed(kind, kind) for kind in STRETCHES if kind in phases],
            events=tables.events(report),
            cost=list(_cost(report)),
            ledger=tables.launches(report),
            rule=tables.rule(report),
            rule_line=rule_line(report),
            heads=tables.heads(report),
            checkpoints=tables.checkpoints(report),
            step=step_of(report),
            device=[] if report.step is None else device_lines(report.step),
            versions=list(_versions(report)),
            config=sorted(settings_of(report.record.config).items()),
            samples=[(text, list(each)) for text, each in _players(heard)],
        )


def _players(heard: Sequence[Heard]) -> Iterator[tuple[str, Iterator[Player]]]:
    """The players of each sentence."""
    for text, group in groupby(heard, key=lambda one: one.text):
        yield text, (_player(one) for one in group)


def _player(one: Heard) -> Player:
    picture = data_url("image/png", mel_picture(one.sound))
    return Player(one.name, data_url("audio/wav", one.sound), picture)


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


def _versions(report: RunReport) -> Iterator[tuple[str, str]]:
    record = report.record
    yield "fintts", record.fintts_version
    yield "base model", f"{record.base_model.name}, {record.base_model.digest}"
    if record.base_model.revision:
        yield "revision", record.base_model.revision
    size = record.size
    yield "data", f"{size.utterances:,} utterances, {size.frames:,} frames, {record.data_digest}"
    if record.recordings is not None:
        yield "recordings", recordings_line(record.recordings)
    if record.initial_adapter is not None:
        yield "started from", record.initial_adapter.name
    if report.prompt:
        yield "prompt", report.prompt
    if record.bundle_digest:
        yield "code", record.bundle_digest
    yield "requested", f"{clock(record.created_at)} UTC"
