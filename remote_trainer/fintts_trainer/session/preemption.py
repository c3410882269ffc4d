"""The request to save at the next step boundary and leave: a signal, or a cloud's notice."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from fintts_trainer.session.spot_notice import SpotNotice

GRACE_SECONDS = 120.0
"""The time of an instance between the notice and its end, which limits the upload."""
FINAL_WRITES_SECONDS = 5.0
"""before an announced end, for the log after everything is saved"""
LEAST_SECONDS = 5.0
"""for the upload, even if the announced end seems past: the clocks may differ"""
EXIT_CODE_READ_SECONDS = 90.0
"""SkyPilot's controller checks a job every 15 s, waits for 5, fetches its log, and then asks the
instance for the exit code; on a machine with six times its load that took more than a minute"""
OVERTIME_SECONDS = 30.0
LOOK_SECONDS = 0.2


class Preemption:
    """Remembers that a signal or a notice came. A second SIGINT ends the process at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.notice: SpotNotice | None = None
        """set by another thread"""

    @property
    def is_requested(self) -> bool:
        """Whether to save and end."""
        return self.signal is not None or self.notice is not None

    def install_handlers(self) -> None:
        """Installs the handlers; call it in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def grace_seconds(self, now: datetime) -> float:
        """Seconds for the upload from now on: somewhat less than the instance has."""
        left = self._left_seconds(now)
        if left is None:
            return GRACE_SECONDS
        return max(LEAST_SECONDS, min(GRACE_SECONDS, left - FINAL_WRITES_SECONDS))

    def seconds_to_wait(self, now: datetime) -> float:
        """How many seconds a finished process should still wait before it exits.

        If the job has ended and the instance is gone before SkyPilot has asked for the exit code,
        SkyPilot counts the run as failed; it replaces an instance that is lost during its job. So
        a process with too little time to deliver its exit code lives as long as the instance.
        """
        left = self._left_seconds(now)
        if left is None or left > EXIT_CODE_READ_SECONDS:
            return 0.0
        return max(0.0, left + OVERTIME_SECONDS)

    def wait_for_end(self, log: Callable[[str], None]) -> None:
        """Waits for the end of the instance, or for an earlier signal."""
        seconds = self.seconds_to_wait(datetime.now(UTC))
        if seconds > 0 and self.signal is None:
            log(f"everything is done; waiting for the end of the instance, at most {seconds:.0f} s")
        end = time.monotonic() + seconds
        while self.signal is None and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)

    def ignore_sigterm(self) -> None:
        """Ignores SIGTERM, once the process only has to exit.

        Python removes its handlers while it exits: a second signal, as `timeout` sends, would turn
        the exit code into that of a killed process, and the run into a failed one.
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _left_seconds(self, now: datetime) -> float | None:
        """Seconds until the announced end; below 0 after it."""
        if self.notice is None or self.notice.ends_at is None:
            return None
        return (self.notice.ends_at - now).total_seconds()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.signal == signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
