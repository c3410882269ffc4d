"""Finds a trainer that hangs, from outside of its process: by what it tells, not by what it hears.

`timeout` in the run script is the second guard, independent of this one: it ends everything at the
deadline.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fintts_trainer.processes.hang_limits import START_SECONDS
from fintts_trainer.processes.progress import Doing, Signs, read_signs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LONGEST_LOOK_SECONDS = 1.0
"""What one look adds to a silence at most: a machine that slept has not hung."""
HUNG = "hung at step"
STARTING = Doing(what="starting", limit_seconds=START_SECONDS)


@dataclass(frozen=True, slots=True)
class Hang:
    """A trainer that has given no sign for longer than what it does may take."""

    doing: Doing
    silent_seconds: float

    def __str__(self) -> str:
        """In a sentence."""
        return (
            f"{HUNG} {self.doing.step}: {self.doing.what}, "
            f"without a sign of progress for {self.silent_seconds:,.0f} s"
        )


@dataclass
class _Watched:
    path: Path
    signs: Signs | None = None
    silent_seconds: float = 0.0

    @property
    def doing(self) -> Doing:
        return (self.signs and self.signs.doing) or STARTING

    def look(self, elapsed_seconds: float) -> None:
        signs = read_signs(self.path)
        self.silent_seconds = 0.0 if signs != self.signs else self.silent_seconds + elapsed_seconds
        self.signs = signs


@dataclass
class Watchdog:
    """Watches the files of all processes of a run on this machine.

    Every process needs the others at each step, so the run hangs when all of them are silent: those
    that wait for one that is busy, such as the first one that uploads, are no hang.
    """

    paths: Sequence[Path]
    factor: float = 1.0
    """what the limits are multiplied by"""
    monotonic: Callable[[], float] = time.monotonic
    _watched: list[_Watched] = field(init=False)
    _looked: float = field(init=False)

    def __post_init__(self) -> None:
        self._watched = [_Watched(path) for path in self.paths]
        self._looked = self.monotonic()

    def look(self) -> Hang | None:
        """What hangs, if anything; to be called at least once a second."""
        now = self.monotonic()
        elapsed = min(now - self._looked, LONGEST_LOOK_SECONDS)
        self._looked = now
        for one in self._watched:
            one.look(elapsed)
        if not all(self._is_over(one) for one in self._watched):
            return None
        first = self._watched[0]
        return Hang(first.doing, first.silent_seconds)

    def _is_over(self, one: _Watched) -> bool:
        return one.silent_seconds > self.factor * one.doing.limit_seconds
