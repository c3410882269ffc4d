"""instance.json: this machine's record of a run's instance that SkyPilot rented."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from string import hexdigits
from typing import TYPE_CHECKING, Any

from fintts_cli.infra import InstancePhase, InstanceState, Span
from fintts_cli.infra.labels import PREFIX
from fintts_store.disk.durable import write_file
from fintts_store.disk.reading import read_limited
from fintts_store.errors import InvalidRecord
from fintts_store.layout import check_run_name, is_run_name
from fintts_store.runs.fields import Message, Moment, Name, RunName
from fintts_store.runs.noted_process import NotedProcess
from fintts_store.runs.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WORKDIR = "workdir"
"""in an instance's folder: the workdir of a managed job, from which later instances get it, too"""
RECORD_FILE = "instance.json"
HEAD = "-head"
"""SkyPilot's ending of the name of a cluster's only instance"""
NAME_ENDING = re.compile(rf"(-[0-9a-f]{{8}})?{HEAD}$")
"""what SkyPilot adds to a cluster's name: the user, and the place in the cluster"""
ENDING = re.compile(r"-x([0-9a-f]{8})$")
"""the end of a cluster's name: its deadline in seconds since the epoch"""
OTHERS = re.compile(r"[^a-z0-9-]")
"""what a run's name cannot hold"""
RUN_CHARACTERS = 40
JOB_CHARACTERS = 25
"""SkyPilot's limit for a job's name in the names of its clusters"""
JOB_ENDING = re.compile(r"-[0-9a-f]{11}-[0-9]+$")
"""what a managed job adds to the name of its clusters: the moment of its launch, and its number"""


class SkyRecord(Record):
    """A cluster, or a managed job with one cluster after another. Times are aware and UTC."""

    run: RunName
    cluster: Name
    """the name of the cluster, and of its instances in the cloud's console"""
    job: Name | None = None
    """the managed job's name, which no other job ever had; None for an on-demand cluster"""
    requested_at: Moment
    deadline_at: Moment | None = None
    """the deadline in its label, which tells launches of one name apart; None if it has no label"""
    asked_by: NotedProcess | None = None
    cloud: Name | None = None
    """the cloud that was chosen, as in `--infra`; None while SkyPilot looks for one"""
    was_seen: bool = False
    """whether SkyPilot has ever listed it"""
    created_at: Moment | None = None
    spans: tuple[Span, ...] = ()
    """the spans of a managed job"""
    is_gone: bool = False
    ended_at: Moment | None = None
    """None also if the instance ended itself: SkyPilot learns of that when it asks"""
    exit_code: int | None = None
    message: Message | None = None
    """why SkyPilot gave the job up"""
    never_came: bool = False
    """whether the cloud lists no instance of this launch, not even one that is gone"""
    gpus: Name | None = None
    """for a cluster: the GPU that was available, of all that were requested"""


def cluster_of(run: str, deadline_at: datetime | None) -> str:
    """The name of a run's cluster, and of its instances in the cloud's console.

    It ends with the deadline, which tells launches apart where instances have no labels. So no name
    of another run contains it: SkyPilot takes `fintts-v10` for `fintts-v1` on clouds that it
    searches by a part of the name.
    """
    plain = PREFIX + check_run_name(run)
    return plain if deadline_at is None else f"{plain}-x{int(deadline_at.timestamp()):08x}"


def job_of(run: str, requested_at: datetime) -> str:
    """The name of a run's managed job: new for each launch, since SkyPilot keeps old ones."""
    return f"{PREFIX}{check_run_name(run)}-{int(requested_at.timestamp() * 1000):x}"


def run_of(cluster: str) -> str | None:
    """The run in a cluster's name, also in one without a deadline, as they were before; None if the
    name is not one of ours."""
    return _run_in(ENDING.sub("", cluster))


def run_of_instance(cluster: str) -> str | None:
    """The same, also for the name of a managed job's cluster."""
    return run_of(JOB_ENDING.sub("", cluster))


def unreadable_run(cluster: str) -> str:
    """A valid run name made from a name with our prefix that names none: its instance is billed,
    no matter whose it is."""
    plain = OTHERS.sub("-", cluster.removeprefix(PREFIX).lower())
    return plain[:RUN_CHARACTERS] or "unknown"


def deadline_in(cluster: str) -> datetime | None:
    """The deadline in a cluster's name, to the second; None if it has none."""
    found = ENDING.search(cluster)
    return None if found is None else datetime.fromtimestamp(int(found[1], 16), UTC)


def _run_in(name: str) -> str | None:
    run = name.removeprefix(PREFIX)
    return run if name.startswith(PREFIX) and is_run_name(run) else None


def run_of_job(job: str) -> str | None:
    """The run in a managed job's name; None if the name is not one of ours."""
    name, _, moment = job.rpartition("-")
    return _run_in(name) if moment and set(moment) <= set(hexdigits) else None


def short_job(sky: Any, job: str) -> str:
    """A managed job's name in the names of its clusters: SkyPilot shortens long ones."""
    names = sky.utils.common_utils
    short: str = names.make_cluster_name_on_cloud(job, JOB_CHARACTERS, add_user_hash=False)
    return short


def place(cloud: str | None, region: str | None) -> str:
    """The place as in `--infra`: aws/us-east-1"""
    return "/".join(part for part in (cloud, region) if part).lower()


def gpus_of(accelerators: Mapping[str, float] | None) -> str | None:
    """An instance's GPUs, from SkyPilot's form to that of `--gpus`: {"H100": 1} → H100:1."""
    named = [f"{name}:{count:g}" for name, count in (accelerators or {}).items()]
    return named[0] if len(named) == 1 else None


def read_record(folder: Path) -> SkyRecord | None:
    """The record in an instance's folder. Raises InvalidRecord if it is damaged."""
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    record = SkyRecord.load(read_limited(path), str(path))
    if record.run != folder.name:
        raise InvalidRecord(f"{path} belongs to run {record.run}, not to {folder.name}")
    return record


def write_record(folder: Path, record: SkyRecord) -> None:
    """Overwrites the record atomically."""
    write_file(folder / RECORD_FILE, record.dump().encode())


def as_state(record: SkyRecord, phase: InstancePhase) -> InstanceState:
    """The record as the port's `InstanceState`."""
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
