"""Seconds by part of the run, to compare with the bill."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

Part = Literal["setup", "encoding", "training", "validation", "checkpoint", "samples", "teardown"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass
class Spent:
    """Seconds of one block."""

    seconds: float = 0.0


class PhaseClock:
    """Adds up seconds by part, including those of the run's earlier jobs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._clock = clock
        self._earlier: dict[Part, float] = dict.fromkeys(PARTS, 0.0)
        self._open: tuple[Part, float] | None = None
        """the block that is running, and when it began"""
        self._ended: float | None = None
        """when the last block ended"""

    def add(self, spent: Mapping[str, float]) -> None:
        """Adds the seconds of the run's earlier jobs. If it is called again with other figures for
        them, the higher figure counts."""
        for part in PARTS:
            more = max(spent.get(part, 0.0) - self._earlier[part], 0.0)
            self._earlier[part] += more
            self.seconds[part] += more

    @contextmanager
    def spend(self, part: Part, *, since_last: bool = False) -> Generator[Spent]:
        """Counts the block's time for this part; the result is set when the block ends.

        Args:
            since_last: also counts the time since the block before it, such as that of logging.
        """
        now = self._clock()
        start = self._ended if since_last and self._ended is not None else now
        spent = Spent()
        self._open = part, start
        try:
            yield spent
        finally:
            self._ended = self._clock()
            spent.seconds = self._ended - start
            self.seconds[part] += spent.seconds
            self._open = None

    def so_far(self) -> dict[str, float]:
        """`seconds`, including the running block so far."""
        seconds = dict(self.seconds)
        if self._open is not None:
            part, start = self._open
            seconds[part] += self._clock() - start
        return seconds
