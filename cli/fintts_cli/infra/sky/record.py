"""instance.json: what this machine remembers of a run's instance that SkyPilot rented."""

from __future__ import annotations

from string import hexdigits
from typing import TYPE_CHECKING

from fintts_cli.infra import InstancePhase, InstanceState, Span
from fintts_store.disk.durable import write_file
from fintts_store.disk.reading import read_limited
from fintts_store.errors import InvalidRecord
from fintts_store.layout import check_run_name, is_run_name
from fintts_store.runs.fields import Message, Moment, Name, RunName
from fintts_store.runs.noted_process import NotedProcess
from fintts_store.runs.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

RECORD_FILE = "instance.json"
SKY_FOLDER, SKY_LOG = "sky", "sky.log"
PREFIX = "fintts-"


class SkyRecord(Record):
    """A cluster, or a managed job with one cluster after the other. Times are aware and UTC."""

    run: RunName
    cluster: Name
    """the name of the cluster, and what its instances are called in the cloud's console"""
    job: Name | None = None
    """the managed job's name, which no other ever had; None of a cluster that is its own"""
    requested_at: Moment
    deadline_at: Moment | None = None
    """as its label says, which tells launches of one name apart; None where it bears none"""
    asked_by: NotedProcess | None = None
    was_seen: bool = False
    """whether SkyPilot has ever listed it"""
    created_at: Moment | None = None
    spans: tuple[Span, ...] = ()
    """of a managed job"""
    is_gone: bool = False
    ended_at: Moment | None = None
    """None of one that is gone, too, where it ended itself: SkyPilot hears of that when it asks"""
    exit_code: int | None = None
    message: Message | None = None
    """why SkyPilot gave the job up"""
    never_came: bool = False
    """whether the cloud lists no instance of this launch, not even one that is gone"""
    gpus: Name | None = None
    """of a cluster: what was to be had of all that was asked for"""


def cluster_of(run: str) -> str:
    """The name of a run's cluster, and what its instances are called in the cloud's console."""
    return PREFIX + check_run_name(run)


def job_of(run: str, requested_at: datetime) -> str:
    """The name of a run's managed job: another one each time, for SkyPilot keeps those of old."""
    return f"{cluster_of(run)}-{int(requested_at.timestamp() * 1000):x}"


def run_of(cluster: str) -> str | None:
    """The run of a cluster's name; None where it is no name that we give."""
    run = cluster.removeprefix(PREFIX)
    return run if cluster.startswith(PREFIX) and is_run_name(run) else None


def run_of_job(job: str) -> str | None:
    """The run of a managed job's name; None where it is no name that we give."""
    name, _, moment = job.rpartition("-")
    return run_of(name) if moment and set(moment) <= set(hexdigits) else None


def place(cloud: str | None, region: str | None) -> str:
    """In `--infra`'s words: aws/us-east-1"""
    return "/".join(part for part in (cloud, region) if part).lower()


def gpus_of(accelerators: Mapping[str, float] | None) -> str | None:
    """SkyPilot's word for what an instance has, in `--gpus`'s: {"H100": 1} → H100:1."""
    named = [f"{name}:{count:g}" for name, count in (accelerators or {}).items()]
    return named[0] if len(named) == 1 else None


def read_record(folder: Path) -> SkyRecord | None:
    """What lies in an instance's folder. Raises InvalidRecord when it is damaged."""
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    record = SkyRecord.load(read_limited(path), str(path))
    if record.run != folder.name:
        raise InvalidRecord(f"{path} says that it is of run {record.run}")
    return record


def write_record(folder: Path, record: SkyRecord) -> None:
    """Overwrites it atomically."""
    write_file(folder / RECORD_FILE, record.dump().encode())


def as_state(record: SkyRecord, phase: InstancePhase) -> InstanceState:
    """The same in the words of the port."""
    return InstanceState(
        run=record.run,
        phase=phase,
        where=record.cluster,
        created_at=record.created_at or record.requested_at,
        ended_at=record.ended_at,
        exit_code=record.exit_code,
        spans=record.spans,
        message=record.message,
        never_came=record.never_came,
        gpus=record.gpus or (record.spans[-1].gpus if record.spans else None),
    )
