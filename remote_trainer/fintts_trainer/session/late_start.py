"""A spot run's next job that comes up shortly before the deadline ends at once: its set-up and
first step would be billed, and bring nothing home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cost.reserve import NO_RECOVERY_SECONDS
from fintts_store.retrying import insist
from fintts_store.runs.end_run import end_run
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_trainer.session.conclude import result_from_store
from fintts_trainer.session.preemption import GRACE_SECONDS
from fintts_trainer.session.session import StoreSession, log

if TYPE_CHECKING:
    from fintts_trainer.session.session import Session


def begins_too_late(session: Session) -> bool:
    """Whether this job goes on with a spot run, but has no ten minutes left for it."""
    if not isinstance(session, StoreSession) or not session.job.on_spot or session.claim == 1:
        return False
    return session.deadline.left_seconds(session.wall_clock.now()) < float(NO_RECOVERY_SECONDS)


def end_unbegun(session: StoreSession) -> Result:
    """Ends the run with what earlier jobs have committed.

    Raises:
        StoreError: the result could not be written.
    """
    message = "less than ten minutes were left before the deadline, so the next job did not begin"
    log(message)
    session.heartbeat.end(Phase.DONE)
    session.uploader.close()
    result = result_from_store(session.job, StopReason.DEADLINE, message, session.wall_clock.now())
    insist(lambda: end_run(session.job.store, result), GRACE_SECONDS)
    return result
