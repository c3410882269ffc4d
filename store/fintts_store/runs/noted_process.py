"""Whether a noted process still lives, as far as this machine can know. Pure.

A number and a start name a process where they were noted alone: another machine that shares the
folder, another container or another start of the machine gives the same numbers to others.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from fintts_store.runs.fields import Count, Name
from fintts_store.runs.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable


class Fate(StrEnum):
    """What became of it."""

    LIVES = "lives"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """it may be at work: nothing of it may be removed, or written as gone"""


class Origin(NamedTuple):
    """Where the number of a process means something; what is None is not known."""

    boot_id: str | None = None
    """names one start of one machine"""
    pid_namespace: str | None = None
    """of a container; it means something within that start"""
    machine: str | None = None
    """the same after a restart"""
    host: str | None = None
    """the machine's name, for people"""


class NotedProcess(Record):
    """One process of one machine."""

    pid: Count
    started_ticks: Count | None = None
    """clock ticks after the machine's start; None where no /proc tells"""
    started_at: float | None = None
    """seconds since the epoch, where no /proc tells"""
    boot_id: Name | None = None
    pid_namespace: Name | None = None
    machine: Name | None = None
    host: Name | None = None

    @property
    def origin(self) -> Origin:
        """Where it was noted; empty in a file of a version that noted no origin."""
        return Origin(self.boot_id, self.pid_namespace, self.machine, self.host)


def fate_of(noted: NotedProcess, here: Origin, is_there: Callable[[NotedProcess], bool]) -> Fate:
    """What became of it, as far as `here` can tell.

    Args:
        is_there: whether this very process lives, told by what this machine shows of its own.
    """
    told = noted.origin
    if _is_same(told.boot_id, here.boot_id):
        if told.pid_namespace not in (None, here.pid_namespace):
            return Fate.UNKNOWN
    elif _is_same(told.machine, here.machine):
        if told.boot_id is not None and here.boot_id is not None:
            return Fate.ENDED  # nothing outlives a restart
    elif told.host is None or told != Origin(
        host=here.host
    ):  # else a version that noted the name alone
        return Fate.UNKNOWN
    return Fate.LIVES if is_there(noted) else Fate.ENDED


def _is_same(one: str | None, other: str | None) -> bool:
    """Whether both are known, and the same."""
    return bool(one) and one == other
