"""Runs as text: the table of `ps`, and the line that `watch` writes off a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.runs.status.stop_reason import SHORT
from fintts_cli.views.fitting import fitting_table, wrapped
from fintts_cli.views.status.stop_forecast import end_in_a_line, end_in_short
from fintts_cli.views.units import at_most, duration, moment, value
from fintts_cost.money import NOTHING, dollars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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

DISPENSABLE = ("ETA", "BEST", "WHERE", "LOSS", "DEADLINE", "$ TO GO", "STEP", "PHASE")
"""in the order in which a narrow terminal drops them"""


def render_runs(views: Sequence[RunView], now: datetime, width: int | None = None) -> str:
    """One line per run, newest first; remarks about single runs follow the table.

    Args:
        width: columns of the terminal, for which the least important columns are dropped.
    """
    if not views:
        return "no runs yet"
    rows = [_row(view, now) for view in views]
    text, dropped = fitting_table(COLUMNS, rows, DISPENSABLE, width, left=2)
    notes = [f"{view.run}: {note}" for view in views for note in _notes(view)]
    below = [*wrapped(notes, width), *dropped]
    return "\n".join([text, *([""] if below else []), *below])


def _notes(view: RunView) -> Iterator[str]:
    if view.stop_forecast is not None:
        yield end_in_a_line(view.stop_forecast)
    if view.message:
        yield view.message


def _row(view: RunView, now: datetime) -> tuple[str, ...]:
    return (
        view.run,
        phase_in_words(view),
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


def phase_in_words(view: RunView) -> str:
    """`done (stopped early)`: the phase, and why the run stopped."""
    if view.stop_reason is None or str(view.stop_reason) == str(view.phase):
        return str(view.phase)
    return f"{view.phase} ({SHORT[view.stop_reason]})"


def _best(view: RunView) -> str:
    return NOTHING if view.best_step is None else f"{value(view.best_value)} @ {view.best_step}"


def render_live_line(view: RunView, now: datetime) -> str:
    """step 120/3000 · loss 4.2100 · best 4.1000 @ 100 · ETA 3 min 05 s · $0.12 so far · …"""
    parts = (
        view.run,
        phase_in_words(view),
        f"step {view.step}/{view.max_steps}",
        "" if view.loss is None else f"loss {value(view.loss)}",
        "" if view.best_step is None else f"best {_best(view)}",
        "" if not view.eta_seconds else f"ETA {duration(view.eta_seconds)}",
        f"{so_far(view)} so far",
        "" if not view.cost_to_finish_usd else f"{dollars(view.cost_to_finish_usd)} to go",
        "" if view.stop_forecast is None else end_in_short(view.stop_forecast),
        "" if view.has_ended else f"deadline {moment(view.deadline_at, now)}",
        view.message or "",
    )
    return " · ".join(part for part in parts if part)
