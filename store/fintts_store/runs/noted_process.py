"""Whether a recorded process still lives, as far as this machine can tell. Pure.

A process id and a start time identify a process only where they were recorded: another machine that
shares the folder, another container or a restart of the machine reuses the same numbers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from fintts_store.runs.fields import Count, Name
from fintts_store.runs.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable


class Fate(StrEnum):
    """What became of a recorded process."""

    LIVES = "lives"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """it may still run: its files and records must stay"""


class Origin(NamedTuple):
    """The scope of a process id; None is unknown."""

    boot_id: str | None = None
    """identifies one boot of one machine"""
    pid_namespace: str | None = None
    """of a container; valid within one boot"""
    machine: str | None = None
    """unchanged by a restart"""
    host: str | None = None
    """the machine's name, for people"""


class NotedProcess(Record):
    """One process of one machine."""

    pid: Count
    started_ticks: Count | None = None
    """clock ticks after the machine's start; None without /proc"""
    started_at: float | None = None
    """seconds since the epoch, without /proc"""
    boot_id: Name | None = None
    pid_namespace: Name | None = None
    machine: Name | None = None
    host: Name | None = None

    @property
    def origin(self) -> Origin:
        """Where the process was recorded; empty in a file of a version without origins."""
        return Origin(self.boot_id, self.pid_namespace, self.machine, self.host)


def fate_of(noted: NotedProcess, here: Origin, is_there: Callable[[NotedProcess], bool]) -> Fate:
    """What became of the process, as far as `here` can tell.

    Args:
        is_there: whether this process lives, according to this machine's own processes.
    """
    told = noted.origin
    if _is_same(told.boot_id, here.boot_id):
        if told.pid_namespace not in (None, here.pid_namespace):
            return Fate.UNKNOWN
    elif _is_same(told.machine, here.machine):
        if told.boot_id is not None and here.boot_id is not None:
            return Fate.ENDED  # no process outlives a restart
    elif told.host is None or told != Origin(
        host=here.host
    ):  # otherwise a version that recorded only the name
        return Fate.UNKNOWN
    return Fate.LIVES if is_there(noted) else Fate.ENDED


def _is_same(one: str | None, other: str | None) -> bool:
    """Whether both are known and equal."""
    return bool(one) and one == other
