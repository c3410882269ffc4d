"""The wall clock: when the run has to end, with time left to bring the last checkpoint home."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

MARGIN_SECONDS = 60.0
MARGIN_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Deadline:
    """An absolute moment (aware, UTC) and the margin that saving and uploading may need."""

    at: datetime
    margin_seconds: float

    @classmethod
    def from_now(cls, at: datetime, now: datetime) -> Deadline:
        """A minute's margin, or a twentieth of a time so short that a minute would eat it."""
        left = max((at - now).total_seconds(), 0.0)
        return cls(at, min(MARGIN_SECONDS, MARGIN_SHARE * left))

    def is_over(self, now: datetime, next_step_seconds: float) -> bool:
        """Whether another step could not be finished and saved any more."""
        needed = timedelta(seconds=self.margin_seconds + next_step_seconds)
        return now + needed >= self.at
