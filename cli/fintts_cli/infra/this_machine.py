"""Identifies this machine, and finds processes that were recorded on it."""

from __future__ import annotations

import hashlib
import socket
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.infra.local.processes import boot_id, read_process
from fintts_store.runs.noted_process import Fate, NotedProcess, Origin, fate_of

if TYPE_CHECKING:
    from collections.abc import Callable

CLOCK_SECONDS = 5.0
"""How far a process's start time may seem to move if it is derived from the clock."""
LONGEST_HOST = 100
RANDOM_NODE = 1 << 40
"""the bit that `uuid.getnode` sets if it found no hardware address and made one up"""


@cache
def this_origin() -> Origin:
    """Identifies this boot of this machine, and this container."""
    host = "".join(c if c.isprintable() else "?" for c in socket.gethostname()[:LONGEST_HOST])
    try:
        namespace: str | None = str(Path("/proc/self/ns/pid").readlink())
        boot: str | None = boot_id()
    except OSError:  # no /proc
        namespace = boot = None
    return Origin(boot or None, namespace, _machine(host), host or None)


def _machine(host: str) -> str | None:
    """The machine id, hashed as machine-id(5) asks, together with the host name: cloned images
    share their id."""
    try:
        known = Path("/etc/machine-id").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        known = ""
    if len(known) != 32:  # missing, or not generated yet
        node = uuid.getnode()
        known = "" if node & RANDOM_NODE else f"{node:x}"
    return hashlib.sha256(f"fintts {known} {host}".encode()).hexdigest()[:32] if known else None


def note_process(pid: int) -> NotedProcess:
    """A record of the process that has this pid now."""
    seen = read_process(pid)
    return NotedProcess(
        pid=pid,
        started_ticks=seen.started if seen else None,
        started_at=None if seen else _started_at(pid),
        **this_origin()._asdict(),
    )


def fate_here(noted: NotedProcess, is_there: Callable[[NotedProcess], bool] | None = None) -> Fate:
    """The fate of a process that was recorded here or elsewhere."""
    return fate_of(noted, this_origin(), is_there or _is_there)


def _is_there(noted: NotedProcess) -> bool:
    """Whether the process runs; a zombie does not count."""
    if noted.started_ticks is not None:
        now = read_process(noted.pid)
        return now is not None and now.started == noted.started_ticks
    started_at = _started_at(noted.pid)
    if started_at is None or noted.started_at is None:
        return started_at is not None
    return abs(started_at - noted.started_at) < CLOCK_SECONDS


def _started_at(pid: int) -> float | None:
    """The start time; None if no process has the pid, or a zombie has it."""
    import psutil  # installed with SkyPilot

    try:
        process = psutil.Process(pid)
        is_dead = process.status() == psutil.STATUS_ZOMBIE
        return None if is_dead else process.create_time()
    except (psutil.NoSuchProcess, OverflowError):
        return None
