"""The time of day for a deadline: a clock that is set back does not make the run longer."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fintts_store.errors import StoreError
from fintts_store.layout import run_prefix
from fintts_store.probes.clock import LIMIT, ahead_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_trainer.session.job import Job

NOTED_JUMP = timedelta(seconds=30)
"""Smaller corrections do not matter to a run."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class WallClock:
    """The latest of three clocks, since money is spent at the latest possible time: the machine's
    time of day, the time of day at the start plus the seconds that have passed since then, and the
    store's, by which a rented instance was asked for."""

    def __init__(
        self,
        not_before: datetime,
        utc_now: Callable[[], datetime] = _utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        ahead: timedelta = timedelta(),
    ) -> None:
        """`not_before` is certainly past: a machine may start with a wrong clock.

        Args:
            ahead: how far the machine's clock is ahead of the store's; negative if behind.
        """
        self._utc_now, self._monotonic = utc_now, monotonic
        self._begin = max(utc_now(), not_before, utc_now() - ahead)
        self._begin_seconds = monotonic()
        self._ahead = ahead
        self._is_reported = False

    def now(self) -> datetime:
        """Aware, in UTC."""
        return max(self._utc_now(), self._steady())

    def remark(self) -> str | None:
        """A sentence on the machine's clock if it is wrong; None for less than half a minute since
        the start, or a minute from the store's."""
        difference = self._utc_now() - self._steady()
        if abs(difference) >= NOTED_JUMP:
            return _of_jump(difference)
        return _of_store(self._ahead) if self._ahead > LIMIT else None

    def new_remark(self) -> str | None:
        """The remark, the first time only."""
        remark = None if self._is_reported else self.remark()
        self._is_reported = self._is_reported or remark is not None
        return remark

    def _steady(self) -> datetime:
        return self._begin + timedelta(seconds=self._monotonic() - self._begin_seconds)


def wall_clock_of(job: Job, created_at: datetime) -> WallClock:
    """The clock of a run created at this moment.

    On the user's own machine the deadline uses this machine's clock, and the store is not asked.
    A store that does not give its time changes nothing.
    """
    if job.asked_at is None:
        return WallClock(created_at)
    try:
        ahead = ahead_by(job.store, within=run_prefix(job.run))
    except StoreError:  # the next use of the store raises it
        ahead = timedelta()
    return WallClock(max(created_at, job.asked_at), ahead=ahead)


def _of_jump(jump: timedelta) -> str:
    """The effect of a jump on the deadline."""
    seconds = f"{abs(jump.total_seconds()):,.0f} s"
    if jump < timedelta():
        return (
            f"this machine's clock is {seconds} behind the elapsed time; "
            "the deadline follows the elapsed time"
        )
    return (
        f"this machine's clock was set forward by {seconds}, or the machine slept that long; "
        "the deadline follows the clock"
    )


def _of_store(ahead: timedelta) -> str:
    seconds = f"{ahead.total_seconds():,.0f} s"
    return (
        f"this machine's clock is {seconds} ahead of the store's; the deadline follows this "
        "machine's clock, so the run ends that much sooner and costs no more than planned"
    )
