"""The part of a budget that is kept for ending the instance, should nothing go as it ought to.

The deadline is when the trainer must have ended by itself. After it come, at the worst: the guard
waits for a trainer that ignores SIGTERM, and kills it; `conclude` writes the run's last word; the
instance is torn down. All of it is billed, so the budget pays for it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from fintts_cost.checks import Amount, exact

TEARDOWN_SECONDS = Decimal(130)
"""of a rented instance: 96 to 107 s were seen from the job's end to the termination"""
KILL_SECONDS = Decimal(120)
"""`timeout --kill-after` of the task's run script"""
CONCLUDE_SECONDS = Decimal(60)
"""the time limit of `conclude` in the task's run script"""
IDLE_SECONDS = Decimal(620)
"""of a spot run whose laptop sleeps: the instance ends itself when it was idle for ten minutes"""
BOOT_SECONDS = Decimal(250)
"""of a spot run: another instance that still boots at the deadline, and learns of it afterwards"""


NO_RECOVERY_SECONDS = Decimal(600)
"""before the deadline: a job that goes on with a spot run then ends at once. Its set-up and first
step would be billed, and bring nothing home; SkyPilot rents for it all the same."""


class Reserve(NamedTuple):
    """Seconds after the deadline that an instance may still be billed for."""

    teardown_seconds: Decimal
    kill_seconds: Decimal = Decimal(0)
    conclude_seconds: Decimal = Decimal(0)
    idle_seconds: Decimal = Decimal(0)
    boot_seconds: Decimal = Decimal(0)

    @property
    def total_seconds(self) -> Decimal:
        """From the deadline to the last second that can be billed."""
        return sum(self, Decimal(0))

    @property
    def after_last_word_seconds(self) -> Decimal:
        """How long something may be billed after the trainer has written how the run ended."""
        return self.teardown_seconds + self.idle_seconds + self.boot_seconds

    @property
    def has_recoveries(self) -> bool:
        """Whether another instance comes when one is taken away."""
        return self.boot_seconds > 0

    @classmethod
    def here(cls, teardown_seconds: Amount) -> Reserve:
        """Of a run on this machine, which goes on costing what it costs when the run has ended."""
        return cls(exact(teardown_seconds))

    @classmethod
    def on_demand(cls, teardown_seconds: Amount = 0) -> Reserve:
        """Of a rented instance.

        Args:
            teardown_seconds: what the teardown is expected to take, if that is more.
        """
        teardown = max(exact(teardown_seconds), TEARDOWN_SECONDS)
        return cls(teardown, KILL_SECONDS, CONCLUDE_SECONDS)

    @classmethod
    def spot(cls, teardown_seconds: Amount = 0) -> Reserve:
        """Of instances that come one after the other, the last of them maybe just then."""
        kept = cls.on_demand(teardown_seconds)
        return kept._replace(idle_seconds=IDLE_SECONDS, boot_seconds=BOOT_SECONDS)
