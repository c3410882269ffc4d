"""Races of writers: whether of several that create one key at the same moment exactly one succeeds.

A server that checks first and writes afterwards fails this under a race alone. One race in three
shows it, or fewer, so there are ten.
"""

import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from fintts_store.errors import KeyExists, KeyNotFound
from fintts_store.store import Store

RACES = 10
"""Three races of eight found a server of this kind in only 46 of 50 tries"""
WRITERS = 8


@dataclass(frozen=True, slots=True)
class Race:
    """What those writers wrote who were told that they had created the key, and what it holds."""

    winners: tuple[bytes, ...]
    kept: bytes

    @property
    def has_one_winner(self) -> bool:
        """One writer was told so, and its bytes are the ones that stay."""
        return self.winners == (self.kept,)


def run_races(store: Store, keys: Sequence[str], writers: int = WRITERS) -> Iterator[Race]:
    """One race for each key, one after the other; the connections of the first serve the others.

    Raises:
        StoreError: a writer could not write, or what was written cannot be read.
    """
    with ThreadPoolExecutor(writers) as pool:
        for key in keys:
            winners = _race(store, key, writers, pool)
            yield Race(winners, _content(store, key))


def _race(store: Store, key: str, writers: int, pool: ThreadPoolExecutor) -> tuple[bytes, ...]:
    start = threading.Barrier(writers)

    def create(data: bytes) -> bytes | None:
        start.wait()
        try:
            store.create(key, data)
        except KeyExists:
            return None
        return data

    with _released(start):
        futures = [pool.submit(create, b"writer %d" % number) for number in range(writers)]
        return _winners(futures)


def _content(store: Store, key: str) -> bytes:
    try:
        return store.get(key)
    except KeyNotFound:  # no writer's bytes were kept
        return b""


@contextmanager
def _released(start: threading.Barrier) -> Generator[None]:
    """After an error or Ctrl-C no writer waits at the start for the others."""
    try:
        yield
    except BaseException:
        start.abort()
        raise


def _winners(futures: Sequence[Future[bytes | None]]) -> tuple[bytes, ...]:
    return tuple(data for future in futures if (data := future.result()) is not None)
