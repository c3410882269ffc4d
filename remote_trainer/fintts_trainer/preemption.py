"""SIGTERM and SIGINT: the request to save at the next step boundary and leave."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

GRACE_SECONDS = 120.0
"""What an instance has between the notice and its end; the upload is given no longer."""


class Preemption:
    """Remembers that a signal came. A second SIGINT ends the process at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def watch(self) -> None:
        """Installs the handlers; the main thread alone may do so."""
        signal.signal(signal.SIGTERM, self._notice)
        signal.signal(signal.SIGINT, self._notice)

    def settle(self) -> None:
        """Deafens the process to SIGTERM, once all is said and it only has to end.

        Python takes its handlers away while it ends: a signal that comes twice, as `timeout` sends
        it, would turn the exit code into that of a killed process, and the run into a failed one.
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _notice(self, number: int, _frame: FrameType | None) -> None:
        if self.signal == signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
