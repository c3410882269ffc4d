"""Processes of a session, as /proc shows them: how a local instance is told alive from dead."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

STARTED_FIELD, SESSION_FIELD, STATE_FIELD = 21, 5, 2
"""positions in /proc/PID/stat, counted from 0 (proc(5) counts from 1)"""


class Process(NamedTuple):
    """One process that is not a zombie."""

    pid: int
    session: int
    started: int
    """clock ticks after boot: with the pid it names a process for ever"""


def read_process(pid: int) -> Process | None:
    """The process, or None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command in brackets, and may hold anything.
    fields = [str(pid), "", *text[text.rindex(")") + 2 :].split()]
    if fields[STATE_FIELD] in ("Z", "X"):
        return None
    return Process(pid, int(fields[SESSION_FIELD]), int(fields[STARTED_FIELD]))


def boot_id() -> str:
    """Names this start of the machine: pids and clock ticks of another one mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def session_of(leader: int, started: int) -> list[Process]:
    """Who is left of the session that this process began, the leader itself included."""
    now = read_process(leader)
    if now is not None and now.started != started:
        # The kernel gives a number away again only when its session has no member left.
        return []
    found = (read_process(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - names, not paths
    members = [p for p in found if p is not None and p.session == leader]
    return [process for process in members if process.started >= started]


def end_session(leader: int, started: int, limit_seconds: float, *, spare: int = 0) -> bool:
    """Kills the session until nothing is left of it; whether that was so within the limit.

    The process `spare`, its leader for example, may live on.
    """
    deadline = time.monotonic() + limit_seconds
    while members := [each for each in session_of(leader, started) if each.pid != spare]:
        if time.monotonic() > deadline:
            return False
        for process in members:
            _kill(process.pid)
        time.sleep(0.02)
    return True


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
