"""Makes the next items in a separate thread while the caller works on the current one."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

T = TypeVar("T")

AHEAD = 4
"""Items made in advance: enough to bridge a slow disk, too few to matter for memory."""


@dataclass(frozen=True, slots=True)
class _End:
    """The source has no more items, or failed."""

    error: BaseException


class Prefetched(Generic[T]):
    """Iterates over the items that the thread has made, in the source's order."""

    def __init__(self, items: queue.Queue[T | _End], clock: Callable[[], float]) -> None:
        self._items, self._clock = items, clock
        self.waited_seconds = 0.0
        """waited for the last item"""

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        """Raises the source's error, if it failed."""
        start = self._clock()
        item = self._items.get()
        self.waited_seconds = self._clock() - start
        if isinstance(item, _End):
            self._items.put(item)  # for a second call
            raise item.error
        return item


@contextmanager
def prefetched(
    source: Iterator[T], ahead: int = AHEAD, clock: Callable[[], float] = time.monotonic
) -> Generator[Prefetched[T]]:
    """Iterates over the source in a thread, at most `ahead` items in advance.

    The thread ends with the block. The source must not depend on what the block does.
    """
    items: queue.Queue[T | _End] = queue.Queue(ahead)
    is_over = threading.Event()
    thread = threading.Thread(
        target=_fill, args=(source, items, is_over), name="prefetch", daemon=True
    )
    thread.start()
    try:
        yield Prefetched(items, clock)
    finally:
        is_over.set()
        while thread.is_alive():
            _empty(items)  # it may be waiting at a full queue
            thread.join(0.01)


def _fill(source: Iterator[T], items: queue.Queue[T | _End], is_over: threading.Event) -> None:
    end: BaseException = StopIteration()
    try:
        for item in source:
            items.put(item)
            if is_over.is_set():
                return
    except BaseException as error:  # __next__ raises it in the caller's thread
        end = error
    items.put(_End(end))


def _empty(items: queue.Queue[T | _End]) -> None:
    while True:
        try:
            items.get_nowait()
        except queue.Empty:
            return
