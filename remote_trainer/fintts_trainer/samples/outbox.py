"""Writes samples to the store in a thread of its own: a slow store delays no step."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from fintts_store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_store.store import Store

MOST_WAITING = 64
"""files that wait for the store; later ones are dropped"""


class Outbox:
    """Files on their way to the store. Trouble is logged once.

    Attributes:
        lost: files that did not reach the store.
    """

    def __init__(self, store: Store, log: Callable[[str], None]) -> None:
        self.lost = 0
        self._store, self._log = store, log
        self._waiting: queue.Queue[tuple[str, bytes] | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="samples", daemon=True)
        self._thread.start()

    def put(self, key: str, content: bytes) -> None:
        """Queues a file and returns at once."""
        try:
            self._waiting.put_nowait((key, content))
        except queue.Full:
            self._lose("the store is too slow")

    def close(self, seconds: float) -> None:
        """Waits until everything is written, no longer than this; what is left is given up."""
        end = time.monotonic() + seconds
        with suppress(queue.Full):
            self._waiting.put(None, timeout=max(seconds, 0.001))
        self._thread.join(max(0.0, end - time.monotonic()))
        if self._thread.is_alive():
            left = self._waiting.qsize()
            for _ in range(max(left, 1)):
                self._lose("the store did not take them in time")

    def _work(self) -> None:
        while (one := self._waiting.get()) is not None:
            try:
                self._store.put(*one)
            except StoreError as error:
                self._lose(error.message)

    def _lose(self, why: str) -> None:
        self.lost += 1
        if self.lost == 1:
            self._log(f"samples do not reach the store: {why}")
