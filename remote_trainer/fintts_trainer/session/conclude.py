"""Writes how a run ended when its trainer could not."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fintts_store.disk.reading import read_end
from fintts_store.errors import Fenced
from fintts_store.output.redaction import without_secrets
from fintts_store.runs.claims import refuse_taken_over
from fintts_store.runs.end_run import end_run, result_by_store
from fintts_store.runs.limits import LOG_BYTES
from fintts_store.runs.logs import write_log
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_store.runs.runs import (
    read_run,
    readable_result,
    readable_status,
    write_status,
)
from fintts_trainer.processes.progress import FOLDER, read_progress
from fintts_trainer.processes.watchdog import HUNG
from fintts_trainer.session.exit_codes import DONE, PREEMPTED, SIGNALLED, STORE_FAILED
from fintts_trainer.session.notifications import Notifications
from fintts_trainer.session.notifier import AT_END_SECONDS, Notifier
from fintts_trainer.session.session import log
from fintts_trainer.session.wall_clock import wall_clock_of

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_trainer.processes.progress import Activity
    from fintts_trainer.session.job import Job

CODES_WITHOUT_RESULT = (DONE, STORE_FAILED, PREEMPTED)
TIMED_OUT = (124, 137)
"""coreutils' timeout: ended by TERM, ended by KILL"""
FRESH = timedelta(minutes=2)
"""A heartbeat up to this age shows an instance at work."""
ENDED = (Phase.DONE, Phase.FAILED, Phase.STOPPING)


def conclude(job: Job, exit_code: int) -> Result | None:
    """Writes result.json for a trainer that was killed or failed; None if it writes nothing.

    It writes nothing after a preemption, since another job continues; nothing if the store failed,
    since the run can resume once it is back; and nothing if a newer claim has taken the run over.
    """
    if readable_result(job.store, job.run) is not None:
        return None
    now = wall_clock_of(job, read_run(job.store, job.run).created_at).now()
    if _is_taken_over(job, now):
        return None
    if exit_code == PREEMPTED:
        _report_hang(job)
    if exit_code in CODES_WITHOUT_RESULT:
        return None
    result = result_from_store(job, *_how_it_ended(job, exit_code, now), now)
    if (result.message or "").startswith(HUNG):
        whole = f"{result.message}; the newest committed step is {result.step}"
        result = result.model_copy(update={"message": whole})
    end_run(job.store, result)
    status = readable_status(job.store, job.run)
    if status is not None:
        ended = {"phase": Phase.FAILED, "updated_at": result.ended_at, "message": result.message}
        write_status(job.store, status.model_copy(update=ended))
    return result


def notify_end(job: Job, result: Result) -> None:
    """Sends the end that the trainer itself could not send."""
    status = readable_status(job.store, job.run) if job.notify else None
    notifications = _notifications(job)
    notifications.know_cost(job.store, job.launch, None if status is None else status.gpus)
    notifications.ended(result)
    notifications.close(AT_END_SECONDS)


def notify_store_failed(job: Job) -> None:
    """Sends that the trainer ended because of the store, without using the store."""
    notifications = _notifications(job)
    notifications.failed(
        "this instance has stopped because of the store; unless another one has the run, "
        "launch it again, and it resumes",
        datetime.now(UTC),
    )
    notifications.close(AT_END_SECONDS)


def _notifications(job: Job) -> Notifications:
    now = datetime.now(UTC)
    return Notifications(Notifier(job.notify, log), job.run, now, job.deadline_at or now)


def _is_taken_over(job: Job, now: datetime) -> bool:
    """Whether another instance runs it, so this one must write neither result nor status.

    A trainer that failed before it took a claim writes the end of the run, unless a heartbeat
    shows another one at work.
    """
    own = job.remembered_claim()
    if own is not None:
        return _is_fenced(job, own)
    status = readable_status(job.store, job.run)
    if status is None or status.phase in ENDED:
        return False
    return now - status.updated_at < FRESH


def _is_fenced(job: Job, claim: int) -> bool:
    """Whether a newer claim exists. Raises StoreUnreachable if the store does not list ours."""
    try:
        refuse_taken_over(job.store, job.run, claim)
    except Fenced:
        return True
    return False


def _report_hang(job: Job) -> None:
    """Writes into the status why this job ended, for the next one."""
    trouble, status = job.remembered_trouble(), readable_status(job.store, job.run)
    if trouble is not None and status is not None:
        change = {"phase": Phase.STOPPING, "message": f"{trouble}; the next job resumes from here"}
        write_status(job.store, status.model_copy(update=change))


def keep_log(job: Job, path: Path) -> None:
    """Saves the instance's log in the store, without secrets; only the end of a long one.

    Raises:
        StoreError: it cannot be written.
    """
    said = read_end(path, LOG_BYTES).decode(errors="surrogateescape")
    kept = without_secrets(said).encode(errors="surrogateescape")
    write_log(job.store, job.run, datetime.now(UTC), kept)


def result_from_store(job: Job, reason: StopReason, message: str, ended_at: datetime) -> Result:
    """The result of a run from the store and the watchdog's file alone."""
    activity = _last_activity(job)
    return result_by_store(
        job.store,
        job.run,
        reason,
        message,
        ended_at=ended_at,
        launch=job.launch,
        phase_seconds=None if activity is None else activity.seconds_at(time.time()),
        samples_seen=0 if activity is None else activity.samples_seen,
    )


def _last_activity(job: Job) -> Activity | None:
    """The first process's last report to its watchdog."""
    signs = read_progress(job.workspace / FOLDER / "0")
    return None if signs is None else signs.activity


def _how_it_ended(job: Job, exit_code: int, now: datetime) -> tuple[StopReason, str]:
    """The reason, and the sentence that says what happened."""
    status = readable_status(job.store, job.run)
    deadline = job.deadline_at or read_run(job.store, job.run).deadline_at
    trouble = job.remembered_trouble()
    last = trouble or (status.message if status is not None else None)
    if exit_code in TIMED_OUT and now >= deadline:
        return StopReason.DEADLINE, _hung(last)
    # The status also shows trouble that did not end the trainer; it counts only if the run failed.
    message = last if status is not None and status.phase == Phase.FAILED else trouble
    return StopReason.FAILED, message or _what_happened(exit_code)


def _hung(told: str | None) -> str:
    last = f"; its last message: {told}" if told else ""
    return f"the trainer did not end by itself at the deadline, so it was killed{last}"


def _what_happened(exit_code: int) -> str:
    """The end in words; a shell adds 128 to the signal that ended a process."""
    try:
        name = signal.Signals(exit_code - SIGNALLED).name
    except ValueError:
        return f"the trainer ended with exit code {exit_code}"
    why = ", perhaps because the machine's memory was full" if name == "SIGKILL" else ""
    return f"the trainer was ended by {name}{why}"
