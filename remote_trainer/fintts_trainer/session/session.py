"""This process and its run: record, configuration and clocks; for the first one also the store."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from fintts_inputs.config import RunConfig
from fintts_inputs.errors import ConfigurationChanged
from fintts_store.checkpoints.commit import Committer
from fintts_store.checkpoints.orphans import clean_up_orphans
from fintts_store.checkpoints.uploader import Uploader
from fintts_store.disk.durable import make_directories
from fintts_store.disk.errors import explained
from fintts_store.errors import InvalidRecord, OldCheckpointsStay, StoreSlow
from fintts_store.output.redaction import without_secrets
from fintts_store.output.visible import visible
from fintts_store.runs.claims import take_claim
from fintts_store.runs.records import Phase, Status, StopReason
from fintts_store.runs.runs import read_run, read_status
from fintts_trainer.processes.hang_limits import FINAL_WRITES_SECONDS
from fintts_trainer.session.deadline import OVERTIME_SECONDS, Deadline, PaceMeter
from fintts_trainer.session.heartbeat import Heartbeat
from fintts_trainer.session.local_checkpoints import local_checkpoint, remove_local
from fintts_trainer.session.metrics import Metrics
from fintts_trainer.session.notifications import Notifications
from fintts_trainer.session.notifier import BEFORE_EXIT_SECONDS, Notifier
from fintts_trainer.session.phase_clock import PhaseClock
from fintts_trainer.session.preemption import GRACE_SECONDS
from fintts_trainer.session.spot_notice import (
    LOOK_EVERY_SECONDS,
    SpotNoticePoller,
    metadata_services,
)
from fintts_trainer.session.wall_clock import WallClock, wall_clock_of

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.errors import StoreError
    from fintts_store.runs.records import MetricKind
    from fintts_store.runs.run_record import RunRecord
    from fintts_trainer.machine.local_gpus import LocalGpus
    from fintts_trainer.processes.progress import ProgressFile
    from fintts_trainer.session.job import Job
    from fintts_trainer.session.preemption import Preemption
    from fintts_trainer.session.spot_notice import SpotNotice


@dataclass(frozen=True)
class Session:
    """A process of a run. Only the first one, a `StoreSession`, writes to the store; this class
    drops what the loop logs, measures or reports."""

    job: Job
    record: RunRecord
    config: RunConfig
    clock: PhaseClock
    pace: PaceMeter
    progress: ProgressFile

    def log(self, sentence: str) -> None:
        """Logs a line."""

    def change_status(self, **fields: object) -> None:
        """Replaces fields of status.json."""

    def add_metrics(self, step: int, kind: MetricKind, values: dict[str, float]) -> None:
        """Adds a row of metrics."""

    def reason_to_end(self, *, has_check: bool) -> StopReason | None:
        """Why the clock or the user rules out another step and its check; None if allowed."""
        return None

    def check_uploads(self) -> None:
        """Raises StoreError if checkpoints can no longer be committed."""

    def notify_taken_away(self, sentence: str) -> None:
        """Sends a notification that the instance is being taken away."""

    def poll_spot_notices(self, preemption: Preemption) -> None:
        """On a spot instance: a notice of the cloud ends this job, like a signal."""

        def on_notice(notice: SpotNotice) -> None:
            self.change_status(message=str(notice))  # first: leaving replaces it
            preemption.notice = notice
            self.notify_taken_away(str(notice))
            self.log(str(notice))

        if self.job.on_spot:
            SpotNoticePoller(on_notice, metadata_services(), LOOK_EVERY_SECONDS).start()

    def report_failure(self, error: BaseException) -> None:
        """Writes the error into the store."""


@dataclass(frozen=True)
class StoreSession(Session):
    """The first process of a run, which holds the claim and writes to the store."""

    claim: int
    committed_before: int | None
    """the last step that earlier claims reported as committed"""
    deadline: Deadline
    wall_clock: WallClock
    started_at: datetime
    heartbeat: Heartbeat
    metrics: Metrics
    committer: Committer
    uploader: Uploader
    notifications: Notifications

    def log(self, sentence: str) -> None:
        """Logs a line, and shows it in status.json."""
        self.heartbeat.change(said=f"{datetime.now(UTC):%H:%M:%S} UTC {sentence}")
        log(sentence)

    def change_status(self, **fields: object) -> None:
        """Replaces fields of status.json."""
        self.heartbeat.change(**fields)

    def add_metrics(self, step: int, kind: MetricKind, values: dict[str, float]) -> None:
        """Adds a row of metrics."""
        self.metrics.add(step, kind, values)

    def reason_to_end(self, *, has_check: bool) -> StopReason | None:
        """The deadline, or a request."""
        if (remark := self.wall_clock.new_remark()) is not None:
            self.heartbeat.change(message=remark)
            self.log(remark)
        needed = self.deadline.seconds_needed(
            self.pace.pace, has_check=has_check, uploads_behind=self.uploader.behind
        )
        if self.deadline.is_over(self.wall_clock.now(), needed):
            return StopReason.DEADLINE
        return StopReason.REQUESTED if self.heartbeat.stop_requested else None

    def usable_seconds(self) -> float:
        """Seconds until the last save must begin; below 0 after that."""
        left = self.deadline.left_seconds(self.wall_clock.now())
        return left - self.deadline.seconds_to_keep(self.pace.pace)

    def drain_seconds(self) -> float:
        """Seconds for the last uploads if the instance stays."""
        behind = max(self.uploader.behind - 1, 0)
        return max(GRACE_SECONDS, self.deadline.seconds_to_commit(self.pace.pace, behind))

    def notify_taken_away(self, sentence: str) -> None:
        """Sends a notification that the instance is being taken away."""
        self.notifications.taken_away(sentence, self.wall_clock.now())

    def check_uploads(self) -> None:
        """Raises StoreError if checkpoints can no longer be committed."""
        self.heartbeat.check()
        self.uploader.check()

    def local_checkpoint(self, step: int) -> Path:
        """The folder of a checkpoint that is not committed yet."""
        return local_checkpoint(self.job.workspace, step)

    def report_failure(self, error: BaseException) -> None:
        """Writes the error into the store."""
        self.progress.begin("reporting the failure", FINAL_WRITES_SECONDS)
        said = getattr(error, "message", None) or without_secrets(repr(error))
        self.heartbeat.change(message=said)
        self.heartbeat.end(Phase.FAILED)
        self.uploader.close()
        self.notifications.close(BEFORE_EXIT_SECONDS)  # `conclude` sends that the run has failed


def open_session(
    job: Job, progress: ProgressFile, *, is_first: bool = True, gpus: LocalGpus | None = None
) -> Session:
    """Reads the run's record; the first process also takes the next claim and removes what earlier
    claims left unfinished.

    Raises:
        StoreError: there is no such run, or the store cannot be reached.
    """
    with explained(job.workspace):
        make_directories(job.workspace)
    record = read_run(job.store, job.run)
    config = config_of(record)
    clock = PhaseClock()
    progress.count_phases_of(clock)
    session = Session(job, record, config, clock, PaceMeter(), progress)
    return _store_session(session, gpus) if is_first else session


def _store_session(session: Session, gpus: LocalGpus | None) -> StoreSession:
    job, record, config = session.job, session.record, session.config
    wall_clock = wall_clock_of(job, record.created_at)
    started_at = wall_clock.now()
    deadline_at = job.deadline_at or record.deadline_at
    claim = take_claim(job.store, job.run, holder=str(job.workspace), launch=job.launch)
    job.remember_claim(claim)
    clean_up_orphans(job.store, job.run, claim)
    before = _status_before(job)
    committed_before = None if before is None else before.last_committed_step
    encoded = None if before is None else before.encoded
    if encoded is not None:
        session.clock.add({"encoding": encoded.seconds})
    status = Status(
        run=job.run,
        claim=claim,
        phase=Phase.SETUP,
        step=0,
        max_steps=config.training.max_steps,
        started_at=started_at,
        updated_at=started_at,
        deadline_at=deadline_at,
        last_committed_step=committed_before,
        encoded=encoded,
        launch=job.launch,
        gpus=None if gpus is None else gpus.describe(rental.gpus for rental in record.rentals),
    )
    heartbeat = Heartbeat(job.store, status, log, wall_clock.now)
    metrics = Metrics(job.store, job.run, claim)
    keep = config.checkpoints
    committer = Committer(
        job.store, job.run, claim, keep_last=keep.keep_last, keep_best=keep.keep_best
    )
    heartbeat.start()
    upload_began = [0.0]

    def before_commit() -> None:
        upload_began[0] = time.monotonic()
        metrics.flush()  # first the metrics: the next job does not repeat these steps

    def on_commit(manifest: Manifest) -> None:
        session.pace.uploads.append(time.monotonic() - upload_began[0])
        _log_commit(job, heartbeat, manifest, uploader.slow)

    uploader: Uploader = Uploader(  # its own name is in what it calls
        committer,
        before_commit=before_commit,
        on_commit=on_commit,
        on_trouble=lambda error: _log_passing_trouble(heartbeat, error),
    )
    return StoreSession(
        job=job,
        record=record,
        config=config,
        clock=session.clock,
        pace=session.pace,
        progress=session.progress,
        claim=claim,
        committed_before=committed_before,
        deadline=Deadline.from_now(
            deadline_at,
            started_at,
            overtime_seconds=0.0 if job.asked_at is None else OVERTIME_SECONDS,
        ),
        wall_clock=wall_clock,
        started_at=started_at,
        heartbeat=heartbeat,
        metrics=metrics,
        committer=committer,
        uploader=uploader,
        notifications=_notifications(job, status, committed_before, deadline_at),
    )


def _notifications(
    job: Job, status: Status, committed: int | None, deadline_at: datetime
) -> Notifications:
    """The run's notifications, of which the first is that it has started."""
    notifications = Notifications(
        Notifier(job.notify, log), job.run, job.asked_at or status.started_at, deadline_at
    )
    notifications.know_cost(job.store, job.launch, status.gpus)
    notifications.launched(status.gpus, committed, status.started_at)
    return notifications


def _status_before(job: Job) -> Status | None:
    """The last heartbeat of the run's earlier jobs; None if that is damaged."""
    try:
        return read_status(job.store, job.run)
    except InvalidRecord:
        return None


def config_of(record: RunRecord) -> RunConfig:
    """The configuration in run.json.

    Raises:
        ConfigurationChanged: another version of the program wrote it, with other keys.
    """
    try:
        return RunConfig.model_validate(record.config)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigurationChanged(
            f"fintts {record.fintts_version} wrote run.json of {record.run}, which this version "
            f"cannot read: {key}: {first['msg']}",
            "use the version that started the run, or start a new run",
        ) from None


def log(sentence: str) -> None:
    """One line of the log."""
    print(f"{datetime.now(UTC):%H:%M:%S} UTC {visible(sentence)}", file=sys.stderr, flush=True)  # noqa: T201 - the log is the terminal


def _log_commit(job: Job, heartbeat: Heartbeat, manifest: Manifest, slow: StoreSlow | None) -> None:
    """Reports a committed checkpoint and frees the local copy. The status shows a slow store until
    a save did not have to wait."""
    message = None if slow is None else _passing_trouble(slow)
    heartbeat.change(last_committed_step=manifest.step, message=message)
    log(f"step {manifest.step}: checkpoint committed, {manifest.size_bytes / 1e6:.1f} MB")
    remove_local(job.workspace, manifest.step)


def _log_passing_trouble(heartbeat: Heartbeat, error: StoreError) -> None:
    sentence = _passing_trouble(error)
    heartbeat.change(message=sentence)
    log(sentence)


def _passing_trouble(error: StoreError) -> str:
    """Trouble that does not end the training, in one sentence."""
    if isinstance(error, StoreSlow):
        return f"{error.message}; {error.hint}"
    is_safe = isinstance(error, OldCheckpointsStay)
    here = "" if is_safe else "checkpoints are kept here until they are uploaded: "
    return f"{here}{error.message}"
