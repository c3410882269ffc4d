"""Looks at a run again and again until there is nothing more to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_store.errors import StoreUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cli.runs.view import RunView

POLL_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
PATIENCE_SECONDS = 600.0
"""A laptop that wakes up has no network for a while, and SkyPilot's server may be starting anew."""
LAST_WORD_SECONDS = 10.0
"""`fintts cloud down` says how the run ended once the instance is gone, and a trainer that has just
said it may end between the look at the store and the one at the cloud"""


def follow(
    look: Callable[[], RunView],
    show: Callable[[RunView], None],
    wait: Callable[[float], object],
    excuse: Callable[[CloudError | StoreUnreachable], None],
    *,
    limit_seconds: float | None = None,
) -> RunView:
    """Returns the view in which the run has ended, or the last one within the limit.

    Args:
        look: reads the run as it is now.
        show: is given every view, the last one too.
        wait: takes the seconds until the next look.
        excuse: is told, once in a row, why nothing can be seen for the moment.
        limit_seconds: how long to wait in all; None for as long as it takes.

    Raises:
        CloudError, StoreUnreachable: nothing could be seen at the first look, or for
            PATIENCE_SECONDS of waiting; the run is left alone.
    """
    waited = 0.0
    view = look()
    while True:
        show(view)
        if view.has_ended or (limit_seconds is not None and waited >= limit_seconds):
            return view
        wait(POLL_SECONDS)
        waited += POLL_SECONDS
        view = _look_carefully(look, wait, excuse)


def _look_carefully(
    look: Callable[[], RunView],
    wait: Callable[[float], object],
    excuse: Callable[[CloudError | StoreUnreachable], None],
) -> RunView:
    """A run that has lost its instance without a word is looked at until the word is overdue."""
    waited = 0.0
    view = _look_patiently(look, wait, excuse)
    while view.is_lost and waited < LAST_WORD_SECONDS:
        wait(POLL_SECONDS)
        waited += POLL_SECONDS
        view = _look_patiently(look, wait, excuse)
    return view


def _look_patiently(
    look: Callable[[], RunView],
    wait: Callable[[float], object],
    excuse: Callable[[CloudError | StoreUnreachable], None],
) -> RunView:
    waited, pause_seconds = 0.0, POLL_SECONDS
    while True:
        try:
            return look()
        except (CloudError, StoreUnreachable) as error:
            if waited >= PATIENCE_SECONDS:
                raise
            if not waited:
                excuse(error)
        wait(pause_seconds)
        waited += pause_seconds
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
