"""Finds what a process started, as /proc shows it; this tells whether a local instance is alive.

A session is not enough, since a daemon leaves it. The leader is therefore a subreaper: a process
that loses its parent becomes the leader's child, and can be found below it as long as the leader
lives.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

STATE_FIELD, PARENT_FIELD, SESSION_FIELD, STARTED_FIELD = 2, 3, 5, 21
"""positions in /proc/PID/stat, counted from 0 (proc(5) counts from 1)"""

PR_SET_CHILD_SUBREAPER = 36
"""prctl(2)"""

PAUSE_SECONDS = 0.02


class Process(NamedTuple):
    """One process that is not a zombie."""

    pid: int
    parent: int
    session: int
    started: int
    """in clock ticks after boot: together with the pid it identifies a process for ever"""


def read_process(pid: int) -> Process | None:
    """The process, or None if it does not exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command in parentheses, and may hold any character.
    fields = [str(pid), "", *text[text.rindex(")") + 2 :].split()]
    if fields[STATE_FIELD] in ("Z", "X"):
        return None
    return Process(
        pid,
        int(fields[PARENT_FIELD]),
        int(fields[SESSION_FIELD]),
        int(fields[STARTED_FIELD]),
    )


def find_process(arguments: list[str]) -> Process | None:
    """The process whose arguments contain these, one after the other."""
    wanted = b"\0" + b"\0".join(argument.encode() for argument in arguments) + b"\0"
    for name in os.listdir("/proc"):  # noqa: PTH208 - names, not paths
        if name.isdigit() and wanted in _command_of(int(name)):
            return read_process(int(name))
    return None


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def boot_id() -> str:
    """Identifies this boot of the machine: pids and clock ticks from another boot are
    meaningless."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def become_leader() -> None:
    """Starts a session, and adopts its processes that lose their parent."""
    os.setsid()
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def members_of(leader: int, started: int) -> list[Process]:
    """The live processes that the leader started, including the leader itself.

    Once the leader is gone, processes that left its session can no longer be found.
    """
    now = read_process(leader)
    if now is not None and now.started != started:
        # The kernel reuses a pid only once its session has no members left.
        return []
    found = (read_process(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - names, not paths
    others = [process for process in found if process is not None]
    members: dict[int, Process] = {}
    while joining := [p for p in others if _belongs(p, leader, started, members)]:
        members |= {process.pid: process for process in joining}
        others = [process for process in others if process.pid not in members]
    return list(members.values())


def _belongs(process: Process, leader: int, started: int, members: dict[int, Process]) -> bool:
    is_of_session = process.session == leader and process.started >= started
    return is_of_session or process.parent in members


def end_all(leader: int, started: int, limit_seconds: float) -> bool:
    """Kills all processes that the leader started, and the leader last; returns whether that took
    less than the limit."""
    deadline = time.monotonic() + limit_seconds
    now = read_process(leader)
    if now is not None and now.started == started:
        _signal(leader, signal.SIGSTOP)  # it still adopts orphans, but starts nothing more
    if not end_others(leader, started, limit_seconds):
        return False
    while members := members_of(leader, started):
        if time.monotonic() > deadline:
            return False
        for process in members:
            _signal(process.pid, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)
    return True


def end_others(leader: int, started: int, limit_seconds: float) -> bool:
    """Kills all processes that the leader started, but not the leader; returns whether that took
    less than the limit."""
    deadline = time.monotonic() + limit_seconds
    times_empty = 0
    # Twice: a process whose parent ended while /proc was read has no parent there.
    while times_empty < 2:
        others = [process for process in members_of(leader, started) if process.pid != leader]
        times_empty = 0 if others else times_empty + 1
        if time.monotonic() > deadline:
            return False
        for process in others:
            _signal(process.pid, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
