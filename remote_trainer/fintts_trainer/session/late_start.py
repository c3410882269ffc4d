"""Ends the next job of a spot run at once if it starts shortly before the deadline: its set-up
would be billed, but produce no checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cost.plan.reserve import NO_RECOVERY_SECONDS
from fintts_store.retrying import insist
from fintts_store.runs.end_run import end_run
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_trainer.session.conclude import result_from_store
from fintts_trainer.session.notifier import AT_END_SECONDS
from fintts_trainer.session.preemption import GRACE_SECONDS
from fintts_trainer.session.session import StoreSession, log

if TYPE_CHECKING:
    from fintts_trainer.session.session import Session


def starts_too_late(session: Session) -> bool:
    """Whether this job continues a spot run with less than ten minutes left."""
    if not isinstance(session, StoreSession) or not session.job.on_spot or session.claim == 1:
        return False
    return session.deadline.left_seconds(session.wall_clock.now()) < float(NO_RECOVERY_SECONDS)


def end_without_training(session: StoreSession) -> Result:
    """Ends the run with what earlier jobs have committed.

    Raises:
        StoreError: the result could not be written.
    """
    message = "less than ten minutes were left before the deadline, so the next job did not train"
    log(message)
    session.heartbeat.end(Phase.DONE)
    session.uploader.close()
    result = result_from_store(session.job, StopReason.DEADLINE, message, session.wall_clock.now())
    insist(lambda: end_run(session.job.store, result), GRACE_SECONDS)
    session.notifications.ended(result)
    session.notifications.close(AT_END_SECONDS)
    return result
