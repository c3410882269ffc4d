"""Retries temporary errors of a store for a while."""

import time
from collections.abc import Callable
from typing import TypeVar

from fintts_store.errors import StoreError

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0

T = TypeVar("T")


def insist(action: Callable[[], T], limit_seconds: float) -> T:
    """Calls the action until it succeeds, up to a time limit; it must be safe to repeat.

    Raises:
        StoreError: the error is not temporary, or lasted too long.
    """
    deadline = time.monotonic() + limit_seconds
    pause_seconds = FIRST_PAUSE_SECONDS
    while True:
        try:
            return action()
        except StoreError as error:
            if not error.passes_by_itself or time.monotonic() + pause_seconds > deadline:
                raise
        time.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
