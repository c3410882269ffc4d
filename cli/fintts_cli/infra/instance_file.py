"""instance.json: what the local agent writes down about its instance."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from fintts_cli.infra import InstancePhase
from fintts_store.disk.durable import write_file
from fintts_store.runs.records import Record

if TYPE_CHECKING:
    from pathlib import Path

INSTANCE_FILE, TASK_FILE, LOG_FILE = "instance.json", "task.yaml", "log.txt"
STAYS = (INSTANCE_FILE, TASK_FILE, LOG_FILE)
"""what outlives the teardown"""


class InstanceFile(Record):
    """The agent and what it is doing."""

    run: str
    agent_pid: int
    agent_started: int
    boot_id: str
    """of the machine's start in which the two numbers above mean something"""
    phase: InstancePhase
    created_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None


def read_instance(folder: Path) -> InstanceFile | None:
    """What lies in an instance's folder. Raises InvalidRecord when it is damaged."""
    path = folder / INSTANCE_FILE
    return InstanceFile.load(path.read_bytes(), str(path)) if path.is_file() else None


def write_instance(folder: Path, instance: InstanceFile) -> None:
    """Overwrites it atomically."""
    write_file(folder / INSTANCE_FILE, instance.dump().encode())
