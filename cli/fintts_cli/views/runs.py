"""Runs as text: the table of `ps` and the single line of `watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.runs.status.stop_reason import SHORT
from fintts_cli.views.stop_forecast import end_in_a_line, end_in_short
from fintts_cli.views.units import at_most, duration, moment, table, value
from fintts_cost.money import NOTHING, dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from fintts_cli.runs.status.view import RunView

COLUMNS = (
    "RUN",
    "PHASE",
    "STEP",
    "LOSS",
    "BEST",
    "$ SO FAR",
    "$ TO GO",
    "ETA",
    "DEADLINE",
    "WHERE",
)

DISPENSABLE = ("deadline", "end", "to go", "best", "run", "phase", "loss")
"""Parts of the live line, in the order in which a narrow terminal drops them."""


def render_runs(views: Sequence[RunView], now: datetime) -> str:
    """One line per run, newest first; remarks about single runs follow the table."""
    if not views:
        return "no runs yet"
    lines = [table(COLUMNS, [_row(view, now) for view in views], left=2)]
    notes = [f"{view.run}: {note}" for view in views for note in _notes(view)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _notes(view: RunView) -> Iterator[str]:
    if view.stop_forecast is not None:
        yield end_in_a_line(view.stop_forecast)
    if view.message:
        yield view.message


def _row(view: RunView, now: datetime) -> tuple[str, ...]:
    return (
        view.run,
        _phase(view),
        f"{view.step}/{view.max_steps}",
        value(view.loss),
        _best(view),
        so_far(view),
        dollars(view.cost_to_finish_usd),
        NOTHING if not view.eta_seconds else duration(view.eta_seconds),
        NOTHING if view.has_ended else moment(view.deadline_at, now),
        view.infra,
    )


def so_far(view: RunView) -> str:
    """The run's cost so far; `at most` if the end of an instance was not seen."""
    return at_most(view.cost_so_far_usd, is_at_most=view.cost_is_at_most)


def _phase(view: RunView) -> str:
    """`done (stopped early)`: the phase, and why the run stopped."""
    if view.stop_reason is None or str(view.stop_reason) == str(view.phase):
        return str(view.phase)
    return f"{view.phase} ({SHORT[view.stop_reason]})"


def _best(view: RunView) -> str:
    return NOTHING if view.best_step is None else f"{value(view.best_value)} @ {view.best_step}"


def render_live_line(view: RunView, now: datetime, *, width: int | None = None) -> str:
    """step 120/3000 · loss 4.2100 · best 4.1000 @ 100 · ETA 3 min 05 s · $0.12 so far · …

    If the numbers exceed `width` characters, the least important parts are dropped first; a remark
    never fits and needs its own line.
    """
    parts = {
        "run": view.run,
        "phase": _phase(view),
        "step": f"step {view.step}/{view.max_steps}",
        "loss": "" if view.loss is None else f"loss {value(view.loss)}",
        "best": "" if view.best_step is None else f"best {_best(view)}",
        "eta": "" if not view.eta_seconds else f"ETA {duration(view.eta_seconds)}",
        "cost": f"{so_far(view)} so far",
        "to go": "" if not view.cost_to_finish_usd else f"{dollars(view.cost_to_finish_usd)} to go",
        "end": "" if view.stop_forecast is None else end_in_short(view.stop_forecast),
        "deadline": "" if view.has_ended else f"deadline {moment(view.deadline_at, now)}",
    }
    for dispensable in DISPENSABLE:
        if width is None or len(_joined(parts.values())) <= width:
            break
        parts.pop(dispensable)
    return _joined([*parts.values(), (view.message or "") if width is None else ""])


def _joined(parts: Iterable[str]) -> str:
    return " · ".join(part for part in parts if part)
