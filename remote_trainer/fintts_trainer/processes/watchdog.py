"""Detects from outside a trainer that hangs: by what it reports, not by whether it responds.

`timeout` in the run script is a second, independent guard: it ends everything at the deadline.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fintts_trainer.processes.hang_limits import START_SECONDS
from fintts_trainer.processes.progress import Activity, ProgressReport, read_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LONGEST_LOOK_SECONDS = 1.0
"""The most that one look adds to a silence: a machine that slept has not hung."""
HUNG = "hung at step"


@dataclass(frozen=True, slots=True)
class Hang:
    """A trainer that has given no sign for longer than its activity allows."""

    activity: Activity
    silent_seconds: float

    def __str__(self) -> str:
        """A sentence."""
        return (
            f"{HUNG} {self.activity.step}: {self.activity.what}, with no progress for "
            f"{self.silent_seconds:,.0f} s"
        )


@dataclass
class _Watched:
    path: Path
    starting: Activity
    signs: ProgressReport | None = None
    silent_seconds: float = 0.0

    @property
    def activity(self) -> Activity:
        return (self.signs and self.signs.activity) or self.starting

    def look(self, elapsed_seconds: float) -> None:
        signs = read_progress(self.path)
        self.silent_seconds = 0.0 if signs != self.signs else self.silent_seconds + elapsed_seconds
        self.signs = signs


@dataclass
class Watchdog:
    """Watches the files of all processes of a run on this machine.

    Every process needs the others at each step, so the run hangs only when all are silent: one that
    waits for a busy one, such as the first one during an upload, does not hang.
    """

    paths: Sequence[Path]
    factor: float = 1.0
    """multiplies the limits"""
    start_seconds: float = START_SECONDS
    """the limit of a process that has not yet reported what it does"""
    monotonic: Callable[[], float] = time.monotonic
    _watched: list[_Watched] = field(init=False)
    _looked: float = field(init=False)

    def __post_init__(self) -> None:
        starting = Activity(what="starting", limit_seconds=self.start_seconds)
        self._watched = [_Watched(path, starting) for path in self.paths]
        self._looked = self.monotonic()

    def look(self) -> Hang | None:
        """The hang, if there is one; call it at least once a second."""
        now = self.monotonic()
        elapsed = min(now - self._looked, LONGEST_LOOK_SECONDS)
        self._looked = now
        for one in self._watched:
            one.look(elapsed)
        if not all(self._is_over(one) for one in self._watched):
            return None
        first = self._watched[0]
        return Hang(first.activity, first.silent_seconds)

    def _is_over(self, one: _Watched) -> bool:
        return one.silent_seconds > self.factor * one.activity.limit_seconds
