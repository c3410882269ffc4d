"""SkyPilot as the place where a task runs: a cluster for each run, which tears itself down.

SkyPilot's own server, a process on this machine, asks the clouds; what is said here of an instance
is what it has from them. It takes two seconds to import, so it is imported where it is asked.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra import InstancePhase, InstanceState
from fintts_store.durable import make_directories, write_file
from fintts_store.layout import check_run_name
from fintts_store.records import Record

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

RECORD_FILE, TASK_FILE, LOG_FILE = "instance.json", "task.yaml", "sky.log"
CLUSTER_PREFIX = "fintts-"
APPEARS_WITHIN = timedelta(minutes=10)
"""SkyPilot knows a cluster some seconds after it was asked for one; a terminal that was killed in
between must not make anybody believe that there is none."""
FRESH_SECONDS = 10.0
"""Asking SkyPilot and the cloud takes seconds: within this time an answer is still good."""
SETTING_UP = frozenset({"INIT", "PENDING", "SETTING_UP"})
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
OF_JOB = re.compile(r"^\([^()]+, pid=\d+\) ", re.MULTILINE)
"""what SkyPilot writes before each line of a job"""


class SkyRecord(Record):
    """What this machine remembers of a run's instance. Times are aware and UTC."""

    run: str
    cluster: str
    requested_at: datetime
    was_seen: bool = False
    """whether SkyPilot has ever listed it"""
    created_at: datetime | None = None
    is_gone: bool = False
    ended_at: datetime | None = None
    """None of one that is gone, too, where it ended itself: SkyPilot hears of that when it asks"""
    exit_code: int | None = None


class SkyInfra:
    """Instances are clusters named fintts-RUN; STATE/sky/RUN/ holds the task, what SkyPilot said,
    and when the instance came and went."""

    def __init__(self, name: str, state_folder: Path) -> None:
        self._name = name
        self._root = state_folder / "sky"
        self._answers: dict[str, tuple[float, InstanceState]] = {}

    @property
    def name(self) -> str:
        return self._name

    def launch(self, run: str, task_yaml: str) -> None:
        state = self.state(run)
        if state is not None and state.is_live:
            raise CloudError(
                f"run {run} has a live instance, the cluster {state.where}",
                f"`fintts cloud stop {run}` ends it, or choose another --name",
            )
        record = SkyRecord(run=run, cluster=cluster_of(run), requested_at=datetime.now(UTC))
        write_file(self._folder(run) / TASK_FILE, task_yaml.encode())
        self._write(record)
        try:
            self._launch(record, task_yaml)
        except BaseException as error:
            self.down(run)
            if isinstance(error, Exception):
                raise self._refused(run, error) from error
            raise
        self._answers.pop(run, None)
        self._write(record.model_copy(update={"was_seen": True}))

    def _launch(self, record: SkyRecord, task_yaml: str) -> None:
        """Returns when the job is in the cluster's queue: from then on it needs nobody."""
        with self._sky(record.run) as sky:
            task = sky.Task.from_yaml_str(task_yaml)
            request = sky.launch(task, cluster_name=record.cluster)
            try:
                sky.stream_and_get(request)
            except BaseException:
                with suppress(Exception):  # whatever it says, the cluster is removed next
                    sky.get(sky.api_cancel(request))
                raise

    def _refused(self, run: str, error: Exception) -> CloudError:
        """SkyPilot's error in one sentence."""
        if isinstance(error, CloudError):
            return error
        text = " ".join(ANSI.sub("", str(error)).split())
        sentence = re.split(r"(?<=[.!:]) ", text)[0].rstrip(".:") or type(error).__name__
        kind = type(error).__name__
        if kind == "ResourcesUnavailableError":
            return CloudError(
                f"no cloud has such an instance at this price now: {sentence}",
                "`fintts cloud offers` lists others; --infra, --gpus and --hourly-rate choose",
            )
        if kind == "NoCloudAccessError":
            return CloudError(
                "SkyPilot has no cloud enabled", "`sky check` says what each of them lacks"
            )
        return CloudError(f"SkyPilot: {sentence}", f"all it said is in {self._log(run)}")

    def state(self, run: str) -> InstanceState | None:
        kept = self._answers.get(run)
        if kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS:
            return kept[1]
        record = self._read(run)
        if record is None:
            return None
        state = self._state(record)
        self._answers[run] = (time.monotonic(), state)
        return state

    def _state(self, record: SkyRecord) -> InstanceState:
        if record.is_gone:
            return _as_state(record, InstancePhase.GONE)
        with self._sky(record.run) as sky:
            try:
                found = self._look(sky, record)
            except Exception as error:
                raise CloudError(
                    f"SkyPilot cannot say whether {record.cluster} is there: "
                    f"{self._refused(record.run, error).message}",
                    f"all it said is in {self._log(record.run)}; the instance ends by itself",
                ) from error
        if found is not None:
            seen, phase = found
            if seen != record:
                self._write(seen)
            return _as_state(seen, phase)
        if not record.was_seen and datetime.now(UTC) - record.requested_at < APPEARS_WITHIN:
            return _as_state(record, InstancePhase.PROVISIONING)
        return _as_state(self._gone(record, None), InstancePhase.GONE)

    def _look(self, sky: Any, record: SkyRecord) -> tuple[SkyRecord, InstancePhase] | None:
        """What SkyPilot, having asked the cloud, says; None if there is no such cluster."""
        cluster = self._cluster(sky, record.cluster)
        if cluster is None:
            return None
        began = datetime.fromtimestamp(cluster.launched_at, UTC)
        seen = record.model_copy(
            update={"was_seen": True, "created_at": record.created_at or began}
        )
        if cluster.status != sky.ClusterStatus.UP:
            return seen, InstancePhase.PROVISIONING
        job = self._job(sky, record.cluster)
        if job is None or job.status.value in SETTING_UP:
            return seen, InstancePhase.SETUP
        if not job.status.is_terminal():
            return seen, InstancePhase.RUNNING
        code = 0 if job.status.value == "SUCCEEDED" else 1
        return seen.model_copy(update={"exit_code": code}), InstancePhase.TEARING_DOWN

    @staticmethod
    def _cluster(sky: Any, name: str) -> Any:
        """SkyPilot's entry, or None; AUTO asks the cloud where a cluster may have gone unaided."""
        try:
            found: list[Any] = sky.get(sky.status([name], refresh=sky.StatusRefreshMode.AUTO))
        except sky.exceptions.ClusterDoesNotExist:
            return None
        return next(iter(found), None)

    @staticmethod
    def _job(sky: Any, cluster: str) -> Any:
        """The newest job of the cluster; None while it has none, or cannot be asked."""
        try:
            jobs = sky.get(sky.queue(cluster))
        except Exception:  # SSH fails in many ways; that the instance is there is known already
            return None
        return max(jobs, key=lambda job: int(job.job_id), default=None)

    def instances(self) -> list[InstanceState]:
        folders = sorted(self._root.iterdir()) if self._root.is_dir() else []
        runs = [folder.name for folder in folders if (folder / RECORD_FILE).is_file()]
        states = [state for run in runs if (state := self.state(run))]
        return sorted(states, key=lambda state: state.created_at)

    def logs(self, run: str, *, follow: bool) -> Iterator[str]:
        record = self._read(run)
        if record is None:
            raise CloudError(f"this machine has asked for no instance of run {run}")
        state = self.state(run)
        if state is None or not state.is_live:
            raise CloudError(
                f"the instance of run {run} is gone, and its log with it",
                f"`fintts cloud report {run}` tells what the run left in the store",
            )
        with self._sky(run) as sky:
            lines = sky.tail_logs(record.cluster, None, follow, preload_content=False)
        for line in lines:
            if line is not None:
                yield OF_JOB.sub("", ANSI.sub("", line))

    def down(self, run: str) -> None:
        record = self._read(run)
        if record is None or record.is_gone:
            return
        with self._sky(run) as sky:
            try:
                sky.get(sky.down(record.cluster))
            except sky.exceptions.ClusterDoesNotExist:
                pass
            except Exception as error:
                raise CloudError(
                    f"the cluster {record.cluster} could not be removed, and may be billing: "
                    f"{self._refused(run, error).message}",
                    f"try again; or remove it in the cloud's console, and see {self._log(run)}",
                ) from error
        self._answers.pop(run, None)
        self._gone(record, datetime.now(UTC))

    @contextmanager
    def _sky(self, run: str) -> Generator[Any]:
        """SkyPilot's SDK; what it prints goes into the run's file, not to the user."""
        require_sky()
        os.environ.setdefault("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")
        make_directories(self._folder(run))
        with (
            self._log(run).open("a", encoding="utf-8") as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            import sky

            yield sky

    def _gone(self, record: SkyRecord, ended_at: datetime | None) -> SkyRecord:
        gone = record.model_copy(update={"is_gone": True, "ended_at": ended_at})
        self._write(gone)
        return gone

    def _read(self, run: str) -> SkyRecord | None:
        path = self._folder(run) / RECORD_FILE
        return SkyRecord.load(path.read_bytes(), str(path)) if path.is_file() else None

    def _write(self, record: SkyRecord) -> None:
        write_file(self._folder(record.run) / RECORD_FILE, record.dump().encode())

    def _folder(self, run: str) -> Path:
        return self._root / check_run_name(run)

    def _log(self, run: str) -> Path:
        return self._folder(run) / LOG_FILE


def require_sky() -> None:
    """Raises CloudError where SkyPilot is not installed."""
    if find_spec("sky") is None:
        raise CloudError("SkyPilot is not installed here", "pip install 'fintts[sky]'")


def cluster_of(run: str) -> str:
    """The name of a run's cluster, and what its instances are called in the cloud's console."""
    return CLUSTER_PREFIX + check_run_name(run)


def _as_state(record: SkyRecord, phase: InstancePhase) -> InstanceState:
    return InstanceState(
        run=record.run,
        phase=phase,
        where=record.cluster,
        created_at=record.created_at or record.requested_at,
        ended_at=record.ended_at,
        exit_code=record.exit_code,
    )
