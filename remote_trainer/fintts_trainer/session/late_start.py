"""Ends a job that takes no step: one of a spot run that starts shortly before the deadline, whose
set-up would be billed but produce no checkpoint, and one that does not get beyond encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cost.plan.reserve import NO_RECOVERY_SECONDS
from fintts_store.network.retrying import insist
from fintts_store.runs.end_run import end_run, result_by_store
from fintts_store.runs.records import Phase, Result, StopReason
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


def end_too_late(session: StoreSession) -> Result:
    """Ends a run that `starts_too_late`, with what earlier jobs have committed.

    Raises:
        StoreError: the result could not be written.
    """
    message = "less than ten minutes were left before the deadline, so the next job did not train"
    return end_without_training(session, StopReason.DEADLINE, message)


def end_without_training(session: StoreSession, reason: StopReason, message: str) -> Result:
    """Ends a run in a job that took no step.

    Raises:
        StoreError: the result could not be written.
    """
    log(message)
    session.heartbeat.end(Phase.DONE)
    session.uploader.close()
    result = result_by_store(
        session.job.store,
        session.job.run,
        reason,
        message,
        ended_at=session.wall_clock.now(),
        launch=session.job.launch,
        phase_seconds=session.clock.seconds,
    )
    insist(lambda: end_run(session.job.store, result), GRACE_SECONDS)
    session.notifications.ended(result)
    session.notifications.close(AT_END_SECONDS)
    return result
