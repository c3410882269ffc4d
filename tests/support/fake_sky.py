"""SkyPilot's SDK as far as `infra/sky` uses it, without a server behind it.

A request is its own answer. Jobs and clusters are lists that a test may change as it goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import boto3
import yaml


def cluster_name(job_name: str, job_id: int) -> str:
    """Of a managed job."""
    return f"{job_name}-{job_id}"


def name_on_cloud(name: str, limit: int, *, add_user_hash: bool = True) -> str:
    """As SkyPilot has it for names within the limit."""
    user = "-aaaabbbb" if add_user_hash else ""
    assert len(name + user) <= limit
    return name + user


@dataclass
class Status:
    """Of a managed job."""

    value: str

    def is_terminal(self) -> bool:
        return self.value in ("SUCCEEDED", "CANCELLED") or self.value.startswith("FAILED")


@dataclass
class Job:
    """As the queue lists it."""

    job_id: int
    job_name: str
    status: Status
    schedule_state: str = "ALIVE"
    start_at: float | None = None
    failure_reason: str | None = None
    submitted_at: float = 0.0
    cloud: str | None = None
    region: str | None = None
    labels: dict[str, str] | None = None
    has_cluster: bool = True

    @property
    def current_cluster_name(self) -> str | None:
        """SkyPilot names the cluster while there is one."""
        is_there = self.has_cluster and self.status.value != "PENDING"
        return cluster_name(self.job_name, self.job_id) if is_there else None

    def become(self, status: str, schedule_state: str = "ALIVE") -> None:
        """The controller's next word."""
        self.status, self.schedule_state = Status(status), schedule_state


@dataclass
class Cluster:
    """As the report of costs lists it, when it was billed in seconds since the epoch."""

    name: str
    began: float
    ended: float | None = None
    labels: dict[str, str] | None = None
    cloud: str = "AWS"
    region: str = "us-east-1"
    autostop: int = 1
    """minutes; -1: none was set"""
    accelerators: dict[str, int] | None = None

    @property
    def launched_at(self) -> int:
        """As the list of clusters has it."""
        return int(self.began)

    def entry(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "launched_at": self.began,
            "usage_intervals": [(self.began, self.ended)],
            "resources": SimpleNamespace(accelerators=self.accelerators),
            "status": "UP" if self.ended is None else None,
        }


@cache
def aws_client(service: Any, *, region_name: str) -> Any:
    """moto answers where a test has begun it, and AWS itself is never asked. Making one for each
    of AWS's regions takes five seconds."""
    return boto3.client(service, region_name=region_name)


@dataclass
class Request:
    """One that the server has accepted and not finished."""

    request_id: str
    name: str
    cluster_name: str | None
    request_body: str = "{}"


class ClusterDoesNotExist(Exception):
    """SkyPilot's own, by that name."""


class ClusterNotUpError(Exception):
    """SkyPilot's own, by that name; here of the instance that keeps managed jobs."""

    def __init__(self, message: str, cluster_status: object = None) -> None:
        super().__init__(message)
        self.cluster_status = cluster_status


@dataclass
class FakeSky:
    """The module; in its methods' names and arguments it follows SkyPilot 0.14.1."""

    is_here: bool = True
    """whether its server runs on this machine"""
    watches_itself: bool = True
    """whether that server does the work of the jobs' controller"""
    no_controller: ClusterNotUpError | None = None
    """what it says where nothing keeps managed jobs"""
    sold_out: Exception | None = None
    fails_after_submission: BaseException | None = None
    controller_is_deaf: bool = False
    starts: bool = True
    """whether a managed job has its instance at once; else it waits until a test says more"""
    controller_said: str = ""
    """in the log of each managed job's controller"""
    managed_jobs: list[Job] = field(default_factory=list[Job])
    clusters: list[Cluster] = field(default_factory=list[Cluster])
    requests: list[Request] = field(default_factory=list[Request])
    accepted_meanwhile: list[Request] = field(default_factory=list[Request])
    """while clusters are listed"""
    enabled: tuple[str, ...] = ()
    usable: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """what a check finds, cloud by cloud"""
    queues: dict[str, list[int] | None] = field(default_factory=dict[str, list[int] | None])
    """the jobs of a cluster; None: it does not answer"""
    Resources: Any = None
    down_fails_with: Exception | None = None
    calls: list[str] = field(default_factory=list[str])
    tasks: list[SimpleNamespace] = field(default_factory=list[SimpleNamespace])

    settings: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    settings_at_launch: dict[tuple[str, str], str] = field(
        default_factory=dict[tuple[str, str], str]
    )

    def __post_init__(self) -> None:
        self.skypilot_config = SimpleNamespace(
            get_nested=self.settings.get, override_skypilot_config=self._override
        )
        self.jobs = self
        here = SimpleNamespace(is_api_server_local=lambda: self.is_here)
        bodies = SimpleNamespace(request_body_env_vars=dict[str, str])
        self.server = SimpleNamespace(common=here, requests=SimpleNamespace(payloads=bodies))
        self.client = SimpleNamespace(
            sdk=SimpleNamespace(
                enabled_clouds=lambda: self.enabled,
                check=lambda _clouds, *, verbose: {"default": self.usable},
            )
        )
        registry = SimpleNamespace(CLOUD_REGISTRY={"aws": None, "gcp": None})
        mode = SimpleNamespace(is_jobs_consolidation_mode=lambda: self.watches_itself)
        # Of `sky` and of `sky.jobs`.
        self.utils = SimpleNamespace(
            controller_utils=mode,
            registry=registry,
            generate_managed_job_cluster_name=cluster_name,
            common_utils=SimpleNamespace(make_cluster_name_on_cloud=name_on_cloud),
        )
        self.exceptions = SimpleNamespace(
            ClusterDoesNotExist=ClusterDoesNotExist, ClusterNotUpError=ClusterNotUpError
        )
        self.StatusRefreshMode = SimpleNamespace(FORCE="force", AUTO="auto", NONE="none")
        self.adaptors = SimpleNamespace(aws=SimpleNamespace(client=aws_client))
        self.Task = SimpleNamespace(from_yaml_str=self._read)
        self.Dag = lambda: SimpleNamespace(add=lambda _task: None)

    @contextmanager
    def session(self, _log: Path) -> Iterator[FakeSky]:
        """In place of the real one."""
        yield self

    def _read(self, text: str) -> SimpleNamespace:
        task = SimpleNamespace(**yaml.safe_load(text), secrets={})
        task.update_secrets = task.secrets.update
        self.tasks.append(task)
        return task

    @contextmanager
    def _override(self, changes: dict[str, dict[str, str]]) -> Iterator[None]:
        before = dict(self.settings)
        for cloud, names in changes.items():
            self.settings.update({(cloud, name): value for name, value in names.items()})
        yield
        self.settings.clear()
        self.settings.update(before)

    def get(self, answer: Any) -> Any:
        return answer

    def stream_and_get(self, answer: Any) -> Any:
        if self.fails_after_submission is not None:
            raise self.fails_after_submission
        return answer

    def api_start(self) -> None:
        self.calls.append("start")

    def api_status(self, *, cluster_name: str | None) -> list[Request]:
        return [one for one in self.requests if cluster_name in (None, one.cluster_name)]

    def api_cancel(self, requests: Any) -> None:
        self.calls.append("take back")
        self.requests = [one for one in self.requests if one.request_id not in (requests or ())]

    def status(self, names: Sequence[str] | None = None, *, refresh: str) -> list[Cluster]:
        """Those of managed jobs are not among them."""
        assert names or refresh == "force"
        self.requests += self.accepted_meanwhile
        of_jobs = {job.current_cluster_name for job in self.managed_jobs}
        live = [one for one in self.clusters if one.ended is None and one.name not in of_jobs]
        return [one for one in live if names is None or one.name in names]

    def queue(self, cluster: str) -> list[int]:
        jobs = self.queues[cluster]
        if jobs is None:
            raise TimeoutError("ssh")
        return jobs

    def optimize(self, _dag: Any) -> None:
        if self.sold_out is not None:
            raise self.sold_out

    def launch(self, _task: Any, *, name: str) -> None:
        self.calls.append("launch")
        self.settings_at_launch = dict(self.settings)
        job = Job(len(self.managed_jobs) + 1, name, Status("PENDING"), "WAITING")
        if self.starts:
            job.become("RUNNING")
            job.start_at = 1.0
        self.managed_jobs.append(job)

    def queue_v2(
        self, *, refresh: bool, fields: Sequence[str], name_match: str
    ) -> tuple[list[Job], int]:
        assert not refresh
        assert "schedule_state" in fields
        if self.no_controller is not None:
            raise self.no_controller
        return [job for job in self.managed_jobs if name_match in job.job_name], len(
            self.managed_jobs
        )

    def cancel(self, *, job_ids: list[int]) -> None:
        self.calls.append(f"cancel {job_ids}")
        for job in self.managed_jobs:
            if job.job_id in job_ids and not self.controller_is_deaf:
                job.become("CANCELLED", "DONE")
                self._end(f"{job.job_name}-{job.job_id}")

    def down(self, name: str, *, purge: bool = False) -> None:
        self.calls.append(f"{'purge' if purge else 'down'} {name}")
        if self.down_fails_with is not None and not purge:
            raise self.down_fails_with
        if not self._end(name):
            raise ClusterDoesNotExist(name)

    def tail_logs(
        self,
        *,
        job_id: int,
        follow: bool,
        preload_content: bool = True,
        controller: bool = False,
        tail: int | None = None,
        output_stream: TextIO | None = None,
    ) -> list[str | None]:
        if controller:
            assert tail
            assert output_stream is not None
            output_stream.write(self.controller_said)
            return []
        assert not preload_content
        return [None, f"(task, pid=7) \x1b[2mof job {job_id}, {follow}\x1b[0m\n"]

    def cost_report(self, *, days: int) -> list[dict[str, Any]]:
        assert days > 0
        return [cluster.entry() for cluster in reversed(self.clusters)]

    def _end(self, name: str) -> bool:
        live = [each for each in self.clusters if each.name == name and each.ended is None]
        for cluster in live:
            cluster.ended = cluster.began + 60
        return bool(live)
