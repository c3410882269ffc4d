"""Patience with a machine whose two cores have other work."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 400.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Returns when it holds; fails after some minutes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.5)
