"""Patience with a machine whose two cores have other work."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 600.0
LEAST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 5.0


def wait_until(condition: Callable[[], bool], patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Returns when it holds; fails when it did not for so long.

    It pauses as long as a look takes: to ask a command again and again would keep a core busy.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        began = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        assert now < deadline, "waited in vain"
        time.sleep(min(LONGEST_PAUSE_SECONDS, max(LEAST_PAUSE_SECONDS, now - began)))
