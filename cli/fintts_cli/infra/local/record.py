"""instance.json: the local agent's record of its instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.infra import InstancePhase
from fintts_store.disk.durable import write_file
from fintts_store.disk.reading import read_limited
from fintts_store.errors import InvalidRecord
from fintts_store.runs.fields import Count, Moment, Name, RunName
from fintts_store.runs.noted_process import NotedProcess
from fintts_store.runs.record import Record

if TYPE_CHECKING:
    from pathlib import Path

INSTANCE_FILE, TASK_FILE, LOG_FILE = "instance.json", "task.yaml", "log.txt"
STAYS = (INSTANCE_FILE, TASK_FILE, LOG_FILE)
"""the files that a teardown keeps"""


class InstanceFile(Record):
    """The agent and its state."""

    run: RunName
    agent_pid: Count
    agent_started: Count
    """in clock ticks after boot"""
    boot_id: Name
    """the boot for which the two numbers above are valid"""
    pid_namespace: Name | None = None
    machine: Name | None = None
    host: Name | None = None
    phase: InstancePhase
    created_at: Moment
    ended_at: Moment | None = None
    exit_code: int | None = None

    @property
    def agent(self) -> NotedProcess:
        """The agent as a recorded process, to be looked up."""
        return NotedProcess(
            pid=self.agent_pid,
            started_ticks=self.agent_started,
            boot_id=self.boot_id,
            pid_namespace=self.pid_namespace,
            machine=self.machine,
            host=self.host,
        )


def read_instance(folder: Path) -> InstanceFile | None:
    """The record in an instance's folder. Raises InvalidRecord if it is damaged."""
    path = folder / INSTANCE_FILE
    if not path.is_file():
        return None
    instance = InstanceFile.load(read_limited(path), str(path))
    if instance.run != folder.name:
        raise InvalidRecord(f"{path} belongs to run {instance.run}, not to {folder.name}")
    return instance


def write_instance(folder: Path, instance: InstanceFile) -> None:
    """Overwrites the record atomically."""
    write_file(folder / INSTANCE_FILE, instance.dump().encode())
