"""The timeline of a run: its instances with their phases, and its events."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.wording import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fintts_cli.runs.bill.billing import Billed
    from fintts_cli.runs.status.view import RunView
    from fintts_store.runs.records import MetricRow, Result

SHOWN_CHECKS = 12


class Stretch(NamedTuple):
    """A phase on one instance."""

    phase: str
    """provisioning, setup, training or teardown"""
    began: datetime
    ended: datetime


class OnInstance(NamedTuple):
    """One instance with its phases, in their order."""

    gpus: str | None
    stretches: tuple[Stretch, ...]


class Event(NamedTuple):
    """Something that happened; a check has its loss."""

    at: datetime
    what: str
    step: int | None = None
    loss: float | None = None

    def to_json(self) -> dict[str, object]:
        """One entry of the document."""
        return {"at": iso(self.at), "event": self.what, "step": self.step, "loss": self.loss}


def instances_of_run(
    view: RunView, metrics: Sequence[MetricRow], now: datetime
) -> tuple[OnInstance, ...]:
    """Every span of billing, divided into phases by the metrics within it."""
    return tuple(
        OnInstance(span.gpus, tuple(_stretches(span, metrics, now))) for span in view.bill.spans
    )


def _stretches(span: Billed, metrics: Sequence[MetricRow], now: datetime) -> Iterator[Stretch]:
    end = span.ended or max(now, span.began)
    rows = [row for row in metrics if row.step > 0 and span.began <= row.at <= end]
    moments = [("provisioning", span.began), ("setup", span.up_at)]
    if rows:
        first = min(rows, key=lambda row: row.at)
        took = timedelta(seconds=min(max(first.values.get("seconds", 0.0), 0.0), 86_400.0))
        moments.append(("training", max(first.at - took, span.began)))
        if span.ended is not None:
            moments.append(("teardown", max(row.at for row in rows)))
    known = [(phase, at) for phase, at in moments if at is not None]
    if span.up_at is None:  # its start was not seen
        known[0] = ("setup", span.began)
    for (phase, began), (_, ended) in zip(known, [*known[1:], ("", end)], strict=True):
        if ended > began:
            yield Stretch(phase, began, ended)


def events_of(
    view: RunView,
    result: Result | None,
    metrics: Sequence[MetricRow],
    without_improvement: Mapping[int, int],
) -> tuple[Event, ...]:
    """The main events: requests, the first step, some of the checks, the end.

    Args:
        without_improvement: step of a check → checks in a row without improvement.
    """
    events = [
        *_of_instances(view),
        *_of_training(metrics),
        *_of_checks(view, metrics, without_improvement),
    ]
    if result is not None:
        events.append(Event(result.ended_at, view.ending, result.step))
    return tuple(sorted(events, key=lambda event: event.at))


def _of_instances(view: RunView) -> Iterator[Event]:
    for span in view.bill.spans:
        yield Event(span.began, f"instance {span.launch} requested")
        if span.up_at is not None:
            yield Event(span.up_at, f"instance {span.launch} is up")
        if span.ended is not None:
            yield Event(span.ended, f"instance {span.launch} is gone")


def _of_training(metrics: Sequence[MetricRow]) -> Iterator[Event]:
    first = next((row for row in metrics if row.kind == "train"), None)
    if first is not None:
        yield Event(first.at, "first step", first.step, first.values.get("loss"))
    before = next((row for row in metrics if row.kind == "validation" and row.step == 0), None)
    if before is not None:
        yield Event(before.at, "check before training", 0, before.values.get("loss"))


def _of_checks(
    view: RunView, metrics: Sequence[MetricRow], without_improvement: Mapping[int, int]
) -> Iterator[Event]:
    rows = [row for row in metrics if row.kind == "validation" and row.step > 0]
    every = max(len(rows) // SHOWN_CHECKS, 1)
    for place, row in enumerate(rows):
        is_best = row.step == view.best_step
        if place % every and not is_best and place != len(rows) - 1:
            continue
        what, count = "best check" if is_best else "check", without_improvement.get(row.step)
        if count:
            what += f", {count} without improvement"
        yield Event(row.at, what, row.step, row.values.get("loss"))
