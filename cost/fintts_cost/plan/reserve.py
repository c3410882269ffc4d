"""The part of a budget that is reserved for ending the instance in the worst case.

The trainer must end by itself before the deadline. In the worst case, after it the guard waits for
a trainer that ignores SIGTERM, and kills it; `conclude` writes the result; the instance is torn
down. All of this is billed, so the budget pays for it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from fintts_cost.amounts import Amount, exact

TEARDOWN_SECONDS = Decimal(130)
"""of a rented instance: measured 96 to 107 s from the job's end to the termination"""
KILL_SECONDS = Decimal(120)
"""`timeout --kill-after` of the task's run script"""
CONCLUDE_SECONDS = Decimal(60)
"""the time limit of `conclude` in the task's run script"""
IDLE_SECONDS = Decimal(620)
"""of a spot run whose laptop sleeps: the instance ends itself after ten idle minutes"""
BOOT_SECONDS = Decimal(250)
"""of a spot run: another instance may still boot at the deadline, and find it passed"""


NO_RECOVERY_SECONDS = Decimal(600)
"""before the deadline: a job that resumes a spot run within this time ends at once. Its set-up and
first step would be billed for nothing; SkyPilot still rents an instance for it."""


class Reserve(NamedTuple):
    """Seconds after the deadline that may still be billed."""

    teardown_seconds: Decimal
    kill_seconds: Decimal = Decimal(0)
    conclude_seconds: Decimal = Decimal(0)
    idle_seconds: Decimal = Decimal(0)
    boot_seconds: Decimal = Decimal(0)

    @property
    def total_seconds(self) -> Decimal:
        """Seconds from the deadline to the last that can be billed."""
        return sum(self, Decimal(0))

    @property
    def after_last_word_seconds(self) -> Decimal:
        """Seconds that may be billed after the trainer has written the result."""
        return self.teardown_seconds + self.idle_seconds + self.boot_seconds

    @property
    def has_recoveries(self) -> bool:
        """Whether another instance replaces one that is taken away."""
        return self.boot_seconds > 0

    @classmethod
    def here(cls, teardown_seconds: Amount) -> Reserve:
        """The reserve of a run on this machine, whose costs do not end with the run."""
        return cls(exact(teardown_seconds))

    @classmethod
    def on_demand(cls, teardown_seconds: Amount = 0) -> Reserve:
        """The reserve of a rented instance.

        Args:
            teardown_seconds: the expected teardown, if longer.
        """
        teardown = max(exact(teardown_seconds), TEARDOWN_SECONDS)
        return cls(teardown, KILL_SECONDS, CONCLUDE_SECONDS)

    @classmethod
    def spot(cls, teardown_seconds: Amount = 0) -> Reserve:
        """The reserve of a spot run, whose last instance may come just before the deadline."""
        kept = cls.on_demand(teardown_seconds)
        return kept._replace(idle_seconds=IDLE_SECONDS, boot_seconds=BOOT_SECONDS)
