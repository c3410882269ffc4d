"""Which process of this machine asks for an instance, and whether it still can.

By psutil: `processes.py` reads /proc, and a laptop that launches may have none.
"""

from __future__ import annotations

from fintts_store.runs.fields import Count
from fintts_store.runs.records import Record

CLOCK_SECONDS = 5.0
"""By which the start of a process may seem to move when the machine's clock is set."""


class Asker(Record):
    """A process; its start tells it from another one that was given its number later."""

    pid: Count
    started_at: float
    """seconds since the epoch"""

    @classmethod
    def of(cls, pid: int) -> Asker:
        """The process that has this number now."""
        import psutil  # SkyPilot brings it along

        return cls(pid=pid, started_at=psutil.Process(pid).create_time())

    def lives(self) -> bool:
        """Whether it runs; one that has ended does not, even if nobody has taken note of it."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started_at) < CLOCK_SECONDS
            return is_same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
