"""The end of a run: the last upload, the curves and the result."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_store.checkpoints.listing import list_manifests
from fintts_store.errors import StoreError, StoreUnreachable
from fintts_store.network.retrying import insist
from fintts_store.runs.end_run import end_run, kept_steps
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_trainer.loop.reasons import PREEMPTED
from fintts_trainer.processes.hang_limits import FINAL_WRITES_SECONDS, upload_limit
from fintts_trainer.session.metrics import upload_tensorboard
from fintts_trainer.session.notifier import AT_END_SECONDS, BEFORE_EXIT_SECONDS
from fintts_trainer.session.preemption import GRACE_SECONDS
from fintts_trainer.session.session import log
from fintts_trainer.tracking.tracker import END_SECONDS

if TYPE_CHECKING:
    from fintts_store.layout import CommitName
    from fintts_trainer.loop.reasons import Reason
    from fintts_trainer.loop.training import Training
    from fintts_trainer.session.preemption import Preemption
    from fintts_trainer.session.session import StoreSession


def finish(
    training: Training, session: StoreSession, reason: Reason, preemption: Preemption
) -> Result | None:
    """Waits for the last upload within the grace period, then writes the result; returns None
    after a preemption.

    Raises:
        StoreError: the last checkpoint or the result could not be written.
    """
    session.heartbeat.change(phase=Phase.STOPPING)
    leaves_early = reason == PREEMPTED or preemption.is_requested
    grace_seconds = (
        preemption.grace_seconds(datetime.now(UTC)) if leaves_early else session.drain_seconds()
    )
    session.progress.begin("uploading", upload_limit(grace_seconds), "teardown")
    with session.clock.spend("teardown"):
        is_safe = session.uploader.drain(grace_seconds)
        if training.samples is not None:
            training.samples.outbox.close(_last_seconds(leaves_early=leaves_early))
        training.world.leave(BEFORE_EXIT_SECONDS if leaves_early else END_SECONDS)
    session.progress.begin("writing the result", FINAL_WRITES_SECONDS, "teardown")
    trouble = session.uploader.trouble or StoreUnreachable(
        f"the last checkpoint could not be committed within {grace_seconds:.0f} s",
        "start the run again: it resumes from the newest committed checkpoint, if any",
    )
    if reason == PREEMPTED:
        end_preempted(session, training.state.step, None if is_safe else trouble, preemption)
        return None
    if not is_safe:
        raise trouble
    session.uploader.close()
    ended = StopReason(reason)
    session.heartbeat.end(Phase.FAILED if ended.is_failure else Phase.DONE)
    result = insist(lambda: write_result(training, session, ended), GRACE_SECONDS)
    log(f"ended at step {result.step}: {result.stop_reason}")
    session.notifications.ended(result)
    session.notifications.close(_last_seconds(leaves_early=leaves_early))
    return result


def _last_seconds(*, leaves_early: bool) -> float:
    """How long the end waits for what a run can do without."""
    return BEFORE_EXIT_SECONDS if leaves_early else AT_END_SECONDS


def end_preempted(
    session: StoreSession,
    step: int,
    trouble: StoreError | None,
    preemption: Preemption,
    saved: str = "everything is saved",
) -> None:
    """Ends this job in time for a preemption, even if the store is slow: another job continues."""
    lost = None
    if trouble is not None:
        lost = f"preempted at step {step}; its checkpoint is not committed: {trouble.message}"
    log(lost or f"preempted at step {step}; {saved}")
    why = "preempted" if preemption.notice is None else str(preemption.notice)
    session.heartbeat.change(message=lost or f"{why}; the next job resumes from here")
    session.heartbeat.end(Phase.STOPPING)
    session.uploader.close(timeout_seconds=0)
    if lost is None:  # otherwise the next job repeats these steps, and reports them
        upload_last_curves(session)
    if preemption.notice is None:  # otherwise the notification was sent when it came
        session.notify_taken_away(lost or f"interrupted at step {step}; {saved}")
    session.notifications.close(BEFORE_EXIT_SECONDS)
    preemption.wait_for_end(session.log)


def upload_last_curves(session: StoreSession) -> None:
    """Uploads the last steps' measurements in one try: a preemption does not wait."""
    try:
        _upload_curves(session)
    except StoreError as error:
        log(f"the curves of the last steps are not uploaded: {error.message}")


def _upload_curves(session: StoreSession) -> None:
    job = session.job
    session.metrics.flush()
    upload_tensorboard(job.store, job.run, session.claim, job.workspace)


def write_result(training: Training, session: StoreSession, reason: StopReason) -> Result:
    """Uploads the curves and then writes the result; may be repeated.

    Raises:
        StoreError: a file is not in the store yet.
    """
    _upload_curves(session)
    result = result_of(training, session, reason)
    end_run(session.job.store, result)
    return result


def skip_damaged(name: CommitName, error: StoreError) -> None:
    """Logs a damaged manifest; the run gets its result without it."""
    log(f"the checkpoint at step {name.step} is skipped: {error.message}")


def _unheard(training: Training) -> str:
    """Why a run ends that cannot measure what it stops by."""
    state, monitor = training.state, training.config.early_stopping.monitor
    name, why = monitor.removeprefix("eval/"), ""
    if training.samples is not None:
        why = f": {training.samples.why_missing(name)}"
    return (
        f"{monitor} could not be measured at the last {state.unheard_checks} checks{why}; the run "
        "ended rather than go on without early stopping, and step "
        f"{state.step} is saved: fix the cause and launch it again"
    )


def result_of(training: Training, session: StoreSession, reason: StopReason) -> Result:
    """The run's result.json."""
    state = training.state
    before = state.initial_validation
    job = session.job
    kept = kept_steps(list_manifests(job.store, job.run, on_unreadable=skip_damaged))
    message = None
    if reason == StopReason.DEADLINE:
        message = training.overrun or session.wall_clock.remark()
    if reason == StopReason.NAN_LOSS:
        last = (
            f"the checkpoint at step {max(kept)} is the last good one" if kept else "none is kept"
        )
        message = (
            f"the loss after step {state.step} is not finite; {last}; "
            "start a new run with a lower training.learning_rate"
        )
    stopping = training.config.early_stopping
    if reason == StopReason.FAILED:
        message = _unheard(training)
    if message is None and stopping.watches_samples and state.early_stopping.checks == 0:
        message = f"{stopping.monitor} was never measured, so no checkpoint is the best"
    return Result(
        run=job.run,
        launch=job.launch,
        stop_reason=reason,
        step=state.step,
        best_step=state.early_stopping.best_step,
        best_value=state.early_stopping.best_value,
        monitor=training.config.early_stopping.monitor,
        kept_steps=kept,
        phase_seconds=dict(session.clock.seconds),
        samples_seen=training.schedule.samples_seen(state.step),
        claims=session.claim,
        started_at=session.started_at,
        ended_at=session.wall_clock.now(),
        initial_validation_value=None if before is None else before["loss"],
        missing_samples=0 if training.samples is None else training.samples.lost,
        encoded=session.heartbeat.status.encoded,
        message=message,
    )
