"""The last word about a run whose trainer could not speak it itself."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_store.checkpoints.commit import list_manifests
from fintts_store.checkpoints.retention import best_of, newest_of
from fintts_store.errors import Fenced
from fintts_store.runs.claims import highest_claim, refuse_taken_over
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_store.runs.runs import (
    read_result,
    read_run,
    read_status,
    write_log,
    write_result_once,
    write_status,
)
from fintts_trainer.exit_codes import DONE, PREEMPTED, STORE_FAILED

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_trainer.job import Job

NO_LAST_WORD = (DONE, STORE_FAILED, PREEMPTED)
MOST_LOG_BYTES = 4 << 20
TIMED_OUT = (124, 137)
"""coreutils' timeout: ended by TERM, ended by KILL"""
SIGNALLED = 128


def conclude(job: Job, exit_code: int) -> Result | None:
    """Writes result.json for a trainer that was killed or failed; None if there is nothing to say.

    Nothing is written after a preemption, since another job goes on; nor when the store failed,
    since the run can go on once it is back; nor when a newer claim has taken the run over.
    """
    if exit_code in NO_LAST_WORD or read_result(job.store, job.run) is not None:
        return None
    claim = job.remembered_claim()
    if claim is not None and _is_taken_over(job, claim):
        return None
    result = result_from_store(job, *_how_it_ended(job, exit_code))
    write_result_once(job.store, result)
    status = read_status(job.store, job.run)
    if status is not None:
        ended = {"phase": Phase.FAILED, "updated_at": result.ended_at, "message": result.message}
        write_status(job.store, status.model_copy(update=ended))
    return result


def _is_taken_over(job: Job, claim: int) -> bool:
    """Raises StoreUnreachable where the store does not even show the claim."""
    try:
        refuse_taken_over(job.store, job.run, claim)
    except Fenced:
        return True
    return False


def keep_log(job: Job, path: Path) -> None:
    """Puts what the instance said into the store; of a long one the end.

    Raises:
        StoreError: it cannot be written.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MOST_LOG_BYTES))
        write_log(job.store, job.run, datetime.now(UTC), file.read())


def result_from_store(job: Job, reason: StopReason, message: str) -> Result:
    """How a run ended whose trainer has nothing to add to what the store holds."""
    record = read_run(job.store, job.run)
    stopping = record.config.get("early_stopping")
    monitor = stopping.get("monitor") if isinstance(stopping, dict) else None
    status = read_status(job.store, job.run)
    # A damaged manifest is no reason to leave a run without its last word.
    manifests = list_manifests(job.store, job.run, on_unreadable=lambda _name, _error: None)
    newest, best = newest_of(manifests), best_of(manifests)
    return Result(
        run=job.run,
        stop_reason=reason,
        step=newest.step if newest else 0,
        best_step=best.step if best else None,
        best_value=best.value if best else None,
        monitor=str(monitor),
        kept_steps=tuple(sorted(manifest.step for manifest in manifests)),
        phase_seconds={},
        samples_seen=0,
        claims=highest_claim(job.store, job.run),
        started_at=status.started_at if status else record.created_at,
        ended_at=datetime.now(UTC),
        initial_validation_value=None,
        message=message,
    )


def _how_it_ended(job: Job, exit_code: int) -> tuple[StopReason, str]:
    """The reason, and the sentence that says what happened."""
    status = read_status(job.store, job.run)
    deadline = job.deadline_at or read_run(job.store, job.run).deadline_at
    trouble = job.remembered_trouble()
    last = trouble or (status.message if status is not None else None)
    if exit_code in TIMED_OUT and datetime.now(UTC) >= deadline:
        return StopReason.DEADLINE, _hung(last)
    # Before it gives up, a trainer tells in its status what it outlives: that has not ended it.
    told = last if status is not None and status.phase == Phase.FAILED else trouble
    return StopReason.FAILED, told or _what_happened(exit_code)


def _hung(told: str | None) -> str:
    last = f"; its last words: {told}" if told else ""
    return f"the trainer did not end by itself at the deadline, so it was ended{last}"


def _what_happened(exit_code: int) -> str:
    """In words: a shell counts the signal that ended a process from 128 on."""
    try:
        name = signal.Signals(exit_code - SIGNALLED).name
    except ValueError:
        return f"the trainer ended with exit code {exit_code}"
    why = ", perhaps because the machine's memory was full" if name == "SIGKILL" else ""
    return f"the trainer was ended by {name}{why}"
