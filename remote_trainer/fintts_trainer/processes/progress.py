"""A trainer process's report to its watchdog: a small file on this machine, written in place.

    the number of signs so far, 20 digits, and a newline
    one JSON object, padded with blanks to 2 KiB: the activity, its start, and its limit

A sign is one `pwrite` of 20 bytes, so each micro-batch may give one.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fintts_trainer.session.phase_clock import PhaseClock

PROGRESS_FILE = "FINTTS_PROGRESS_FILE"
"""environment variable with the path of the file"""
FOLDER = "progress"
COUNT_DIGITS, SIZE_BYTES = 20, 2048

T = TypeVar("T")


class Activity(BaseModel):
    """The current activity of a process."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    what: str
    """a gerund phrase: `training`"""
    limit_seconds: float
    """longest allowed time without a sign"""
    part: str | None = None
    """the phase of the bill that pays for its time"""
    since: float = 0.0
    """seconds since 1970"""
    step: int = 0
    samples_seen: int = 0
    phase_seconds: dict[str, float] = {}
    """without the time since `since`"""

    def seconds_at(self, moment: float) -> dict[str, float]:
        """`phase_seconds` at a later moment, if the activity is still the same."""
        seconds = dict(self.phase_seconds)
        if self.part is not None:
            seconds[self.part] = seconds.get(self.part, 0.0) + max(moment - self.since, 0.0)
        return seconds


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """The content of the file."""

    count: int
    activity: Activity | None
    """None before the process reports its first activity"""


class ProgressFile:
    """The trainer's side; writes nothing without a file."""

    def __init__(self, path: Path | None = None) -> None:
        self._count = 0
        self._file = None if path is None else os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._step, self._samples_seen = 0, 0
        self._clock: PhaseClock | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ProgressFile:
        """Writes to the file that FINTTS_PROGRESS_FILE names."""
        path = environment.get(PROGRESS_FILE)
        return cls(None if path is None else Path(path))

    def count_phases_of(self, clock: PhaseClock) -> None:
        """Adds the seconds of each phase to later reports."""
        self._clock = clock

    def at_step(self, step: int, samples_seen: int) -> None:
        """Sets the number of finished steps; the next `begin` reports it."""
        self._step, self._samples_seen = step, samples_seen

    def begin(self, what: str, limit_seconds: float, part: str | None = None) -> None:
        """Reports a new activity and its limit between two signs."""
        if self._file is None:
            return
        activity = Activity(
            what=what,
            limit_seconds=limit_seconds,
            part=part,
            since=time.time(),
            step=self._step,
            samples_seen=self._samples_seen,
            phase_seconds={} if self._clock is None else self._clock.so_far(),
        )
        self._count += 1
        text = f"{self._count:0{COUNT_DIGITS}d}\n{json.dumps(activity.model_dump())}"
        os.pwrite(self._file, text.encode().ljust(SIZE_BYTES), 0)

    def sign(self, _amount: int = 0) -> None:
        """Reports progress."""
        if self._file is not None:
            self._count += 1
            os.pwrite(self._file, b"%0*d" % (COUNT_DIGITS, self._count), 0)

    def with_signs(self, items: Iterable[T]) -> Iterator[T]:
        """Yields the items, with a sign before each."""
        for item in items:
            self.sign()
            yield item


def read_progress(path: Path) -> ProgressReport | None:
    """A process's last report; None before the first."""
    try:
        content = path.read_bytes()[:SIZE_BYTES]
        count, _, rest = content.partition(b"\n")
        if not rest.strip():
            return None
        return ProgressReport(int(count), Activity.model_validate_json(rest))
    except (OSError, ValueError, ValidationError):
        return None
