"""The time of day for a deadline: a clock that is set back does not make the run longer."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NOTED_JUMP = timedelta(seconds=30)
"""Smaller corrections change no run."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class WallClock:
    """The later of two clocks, since money is spent at the latest possible time: the machine's time
    of day, and the time of day at the start plus the seconds that have passed since then."""

    def __init__(
        self,
        not_before: datetime,
        utc_now: Callable[[], datetime] = _utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`not_before` is past for sure: a machine may start with a wrong clock."""
        self._utc_now, self._monotonic = utc_now, monotonic
        self._begin = max(utc_now(), not_before)
        self._begin_seconds = monotonic()
        self._is_told = False

    def now(self) -> datetime:
        """Aware, in UTC."""
        return max(self._utc_now(), self._steady())

    def jump(self) -> timedelta | None:
        """By how much the machine's clock was set since the start; None for less than half a
        minute. Below zero: it was set back."""
        difference = self._utc_now() - self._steady()
        return difference if abs(difference) >= NOTED_JUMP else None

    def news(self) -> str | None:
        """That the clock has jumped, in a sentence, once."""
        jump = None if self._is_told else self.jump()
        self._is_told = self._is_told or jump is not None
        return None if jump is None else sentence_about(jump)

    def _steady(self) -> datetime:
        return self._begin + timedelta(seconds=self._monotonic() - self._begin_seconds)


def sentence_about(jump: timedelta) -> str:
    """What a jump means for the deadline, in a sentence."""
    seconds = f"{abs(jump.total_seconds()):,.0f} s"
    if jump < timedelta():
        return (
            f"this machine's clock is {seconds} behind the time that has passed; "
            "the deadline is kept by the time that has passed"
        )
    return (
        f"this machine's clock was set forward by {seconds}, or the machine slept that long; "
        "the deadline is kept by the clock"
    )
