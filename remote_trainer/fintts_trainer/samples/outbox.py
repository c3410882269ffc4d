"""Writes samples to the store in a thread of its own: a slow store delays no step."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fintts_store.errors import StoreError
from fintts_trainer.session.background import BackgroundWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        self._worker = BackgroundWorker[tuple[str, bytes]]("samples", MOST_WAITING, self._work)
        self._worker.start()

    def put(self, key: str, content: bytes) -> None:
        """Queues a file and returns at once."""
        if not self._worker.put((key, content)):
            self._lose("the store is too slow")

    def close(self, seconds: float) -> None:
        """Waits until everything is written, no longer than this; what is left is given up."""
        end = time.monotonic() + seconds
        self._worker.ask_to_end(seconds)
        if not self._worker.join(end - time.monotonic()):
            for _ in range(max(self._worker.waiting, 1)):
                self._lose("the store did not take them in time")

    def _work(self, files: Iterator[tuple[str, bytes]]) -> None:
        for one in files:
            try:
                self._store.put(*one)
            except StoreError as error:
                self._lose(error.message)

    def _lose(self, why: str) -> None:
        self.lost += 1
        if self.lost == 1:
            self._log(f"samples do not reach the store: {why}")
