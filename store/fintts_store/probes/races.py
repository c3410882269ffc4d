"""Races of writers: whether exactly one of those that create a key at the same moment succeeds.

A server that checks first and writes afterwards fails only in a race. At most one race in three
shows it, so there are ten.
"""

import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from fintts_store.errors import KeyExists, KeyNotFound
from fintts_store.store import Store

RACES = 10
"""Three races of eight writers found such a server in only 46 of 50 tries"""
WRITERS = 8


@dataclass(frozen=True, slots=True)
class Race:
    """What the successful writers wrote, and what the key holds."""

    winners: tuple[bytes, ...]
    kept: bytes

    @property
    def has_one_winner(self) -> bool:
        """Whether one writer succeeded, and the key holds its bytes."""
        return self.winners == (self.kept,)


def run_races(store: Store, keys: Sequence[str], writers: int = WRITERS) -> Iterator[Race]:
    """Runs one race per key in sequence; later races reuse the first one's connections.

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
    except KeyNotFound:  # the key holds no writer's bytes
        return b""


@contextmanager
def _released(start: threading.Barrier) -> Generator[None]:
    """Releases the writers that wait at the start after an error or Ctrl-C."""
    try:
        yield
    except BaseException:
        start.abort()
        raise


def _winners(futures: Sequence[Future[bytes | None]]) -> tuple[bytes, ...]:
    return tuple(data for future in futures if (data := future.result()) is not None)
