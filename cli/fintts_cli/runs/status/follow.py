"""Looks at a run repeatedly until nothing more will change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_store.errors import StoreUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cli.runs.status.view import RunView

POLL_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
PATIENCE_SECONDS = 600.0
"""A laptop that wakes up has no network for a while, and SkyPilot's server may be restarting."""
LAST_WORD_SECONDS = 10.0
"""`fintts cloud down` records the end once the instance is gone, and a trainer that has just
recorded it may end between the look at the store and the one at the cloud."""


def follow(
    look: Callable[[], RunView],
    show: Callable[[RunView], None],
    wait: Callable[[float], object],
    excuse: Callable[[CloudError | StoreUnreachable], None],
    *,
    limit_seconds: float | None = None,
) -> RunView:
    """Returns the view in which the run has ended, or the last view within the limit.

    Args:
        look: reads the run as it is now.
        show: takes every view, including the last one.
        wait: takes the seconds until the next look.
        excuse: takes the reason why the run cannot be seen at the moment, once per outage.
        limit_seconds: the total time to wait; None for no limit.

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
    """One look; if the instance is gone without a result, it repeats the look until the result is
    overdue."""
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
