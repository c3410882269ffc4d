"""A thread that works through a queue, so that training never waits for what it can do without."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Item = TypeVar("Item")


class BackgroundWorker(Generic[Item]):
    """A thread and its queue. The thread ends with the process, or after its last item."""

    def __init__(
        self, name: str, most_waiting: int, work: Callable[[Iterator[Item]], None]
    ) -> None:
        """Makes the thread, which `start` starts.

        Args:
            most_waiting: items that wait; later ones are refused.
            work: runs in the thread; takes each item when it comes.
        """
        self._queue: queue.Queue[Item | None] = queue.Queue(most_waiting)
        self._thread = threading.Thread(target=work, args=[self._items()], name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread has started and not ended."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Items in the queue."""
        return self._queue.qsize()

    def put(self, item: Item) -> bool:
        """Queues an item and returns at once; False if the queue is full."""
        return self._queued(item, 0.0)

    def ask_to_end(self, seconds: float = 0.0) -> bool:
        """Lets the thread end after the items before; False if the queue stays full for so long."""
        return self._queued(None, seconds)

    def join(self, seconds: float) -> bool:
        """Waits for the end of the thread, no longer than this; returns whether it has ended."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def _queued(self, item: Item | None, seconds: float) -> bool:
        try:
            self._queue.put(item, block=seconds > 0, timeout=seconds)
        except queue.Full:
            return False
        return True

    def _items(self) -> Iterator[Item]:
        while (item := self._queue.get()) is not None:
            yield item
