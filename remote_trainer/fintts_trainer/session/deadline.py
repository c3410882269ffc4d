"""The deadline of the trainer, and whether the next part can end before it.

`Pace` and `Deadline` are pure: times come in as parameters, so that a simulation of many runs asks
the same functions (`Deadline.from_now`, `seconds_needed`, `is_over`).
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

SLACK = 1.2
"""The next part may take a fifth longer than the longest of the last few."""
ASSUMED_UPLOAD_SECONDS = 60.0
"""until an upload is measured"""
LONGEST_UPLOAD_SECONDS = 300.0
"""One upload that took longer than this does not end a run that much earlier."""
FINAL_WRITES_SECONDS = 15.0
"""for metrics, curves and the result, once the last checkpoint is committed"""
OVERTIME_SECONDS = 60.0
"""The last save of a rented instance may take so long after the deadline: half of the time between
SIGTERM and SIGKILL, for which the budget keeps money (`fintts_cost.plan.reserve`)."""
SHORT_SHARE = 0.05
"""Each constant is at most this share of the time, if the time is short."""
STEPS_REMEMBERED, OTHERS_REMEMBERED = 10, 3


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each part takes, in seconds, without slack; None if unknown."""

    step: float | None = None
    check: float | None = None
    save: float | None = None
    """on the local disk"""
    upload: float | None = None
    """from the local disk until the checkpoint is committed"""


def _nothing(maximum: int) -> deque[float]:
    return deque(maxlen=maximum)


@dataclass
class PaceMeter:
    """Measures the pace: the longest of the last few of each part, or that of earlier jobs."""

    earlier: Pace = field(default_factory=Pace)
    """from the checkpoint that the run resumes from; used until this process has measured"""
    steps: deque[float] = field(default_factory=lambda: _nothing(STEPS_REMEMBERED))
    checks: deque[float] = field(default_factory=lambda: _nothing(OTHERS_REMEMBERED))
    saves: deque[float] = field(default_factory=lambda: _nothing(OTHERS_REMEMBERED))
    uploads: deque[float] = field(default_factory=lambda: _nothing(OTHERS_REMEMBERED))

    @property
    def pace(self) -> Pace:
        """The pace so far."""
        return Pace(
            step=max(self.steps, default=self.earlier.step),
            check=max(self.checks, default=self.earlier.check),
            save=max(self.saves, default=self.earlier.save),
            upload=max(self.uploads, default=self.earlier.upload),
        )

    @property
    def known_checks(self) -> list[float]:
        """The checks of this process, else the average of earlier jobs'; empty without any."""
        earlier = self.earlier.check
        return list(self.checks) or ([] if earlier is None else [earlier])


@contextmanager
def measured(durations: deque[float]) -> Generator[None]:
    """Adds the seconds of the block."""
    start = time.monotonic()
    yield
    durations.append(time.monotonic() - start)


@dataclass(frozen=True, slots=True)
class Deadline:
    """An absolute moment (aware, UTC), and the reserve before it."""

    at: datetime
    assumed_upload_seconds: float
    final_writes_seconds: float
    overtime_seconds: float = 0.0
    """after `at`, for a last save of known length"""

    @classmethod
    def from_now(cls, at: datetime, now: datetime, *, overtime_seconds: float = 0.0) -> Deadline:
        """`now` is the start of the job."""
        share = SHORT_SHARE * max((at - now).total_seconds(), 0.0)
        reserve = min(ASSUMED_UPLOAD_SECONDS, share), min(FINAL_WRITES_SECONDS, share)
        return cls(at, *reserve, overtime_seconds)

    def left_seconds(self, now: datetime) -> float:
        """Seconds until the deadline; below 0 after it."""
        return (self.at - now).total_seconds()

    def is_over(self, now: datetime, needed_seconds: float) -> bool:
        """Whether something that takes so many seconds would miss the deadline."""
        return now + timedelta(seconds=needed_seconds) >= self.at

    def seconds_to_commit(self, pace: Pace, uploads_behind: int = 0) -> float:
        """Seconds that a save now may take until the commit and the result are written.

        Args:
            uploads_behind: checkpoints that are not committed yet; they go first.
        """
        upload = self.assumed_upload_seconds if pace.upload is None else pace.upload
        uploads = SLACK * min(upload, LONGEST_UPLOAD_SECONDS) * (1 + uploads_behind)
        return SLACK * (pace.save or 0.0) + uploads + self.final_writes_seconds

    def seconds_to_keep(self, pace: Pace, uploads_behind: int = 0) -> float:
        """Seconds before the deadline at which the last save must begin: less once an upload is
        measured, since what the plan kept for an unknown one is then free."""
        commit = self.seconds_to_commit(pace, uploads_behind)
        return commit if pace.upload is None else max(commit - self.overtime_seconds, 0.0)

    def seconds_needed(self, pace: Pace, *, has_check: bool, uploads_behind: int = 0) -> float:
        """Seconds that one more step may take, to the end of the trainer if it is the last one.

        Args:
            has_check: whether a validation check follows this step.
            uploads_behind: checkpoints that are not committed yet; they go before its own.
        """
        check = pace.check if has_check else None
        step = SLACK * ((pace.step or 0.0) + (check or 0.0))
        return step + self.seconds_to_keep(pace, uploads_behind)
