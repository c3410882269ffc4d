"""Looks at a run again and again until there is nothing more to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cli.run_view import RunView

POLL_SECONDS = 1.0


def follow(
    look: Callable[[], RunView],
    show: Callable[[RunView], None],
    wait: Callable[[float], object],
    *,
    limit_seconds: float | None = None,
) -> RunView:
    """Returns the view in which the run has ended, or the last one within the limit.

    Args:
        look: reads the run as it is now.
        show: is given every view, the last one too.
        wait: takes the seconds until the next look.
        limit_seconds: how long to wait in all; None for as long as it takes.
    """
    waited = 0.0
    while True:
        view = look()
        show(view)
        if view.has_ended or (limit_seconds is not None and waited >= limit_seconds):
            return view
        wait(POLL_SECONDS)
        waited += POLL_SECONDS
