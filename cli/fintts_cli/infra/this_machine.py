"""Which machine this is, and which of its processes are those that somebody noted."""

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
"""By which the start of a process may seem to move, where the clock tells it."""
LONGEST_HOST = 100
RANDOM_NODE = 1 << 40
"""the bit of `uuid.getnode` that is set where it found no hardware address and made one up"""


@cache
def this_origin() -> Origin:
    """This start of this machine, and this container."""
    host = "".join(c if c.isprintable() else "?" for c in socket.gethostname()[:LONGEST_HOST])
    try:
        namespace: str | None = str(Path("/proc/self/ns/pid").readlink())
        boot: str | None = boot_id()
    except OSError:  # no /proc
        namespace = boot = None
    return Origin(boot or None, namespace, _machine(host), host or None)


def _machine(host: str) -> str | None:
    """Hashed, as machine-id(5) asks, with the name: cloned images share their id."""
    try:
        known = Path("/etc/machine-id").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        known = ""
    if len(known) != 32:  # none, or one that is still to be made
        node = uuid.getnode()
        known = "" if node & RANDOM_NODE else f"{node:x}"
    return hashlib.sha256(f"fintts {known} {host}".encode()).hexdigest()[:32] if known else None


def note_process(pid: int) -> NotedProcess:
    """The process of this machine that has this number now."""
    seen = read_process(pid)
    return NotedProcess(
        pid=pid,
        started_ticks=seen.started if seen else None,
        started_at=None if seen else _started_at(pid),
        **this_origin()._asdict(),
    )


def fate_here(noted: NotedProcess, is_there: Callable[[NotedProcess], bool] | None = None) -> Fate:
    """What became of a process that was noted here or elsewhere."""
    return fate_of(noted, this_origin(), is_there or _is_there)


def _is_there(noted: NotedProcess) -> bool:
    """Whether it runs; one that has ended does not, even if nobody has taken note of it."""
    if noted.started_ticks is not None:
        now = read_process(noted.pid)
        return now is not None and now.started == noted.started_ticks
    started_at = _started_at(noted.pid)
    if started_at is None or noted.started_at is None:
        return started_at is not None
    return abs(started_at - noted.started_at) < CLOCK_SECONDS


def _started_at(pid: int) -> float | None:
    """None where no process has the number, or the one that has it is a zombie."""
    import psutil  # SkyPilot brings it along

    try:
        process = psutil.Process(pid)
        is_dead = process.status() == psutil.STATUS_ZOMBIE
        return None if is_dead else process.create_time()
    except (psutil.NoSuchProcess, OverflowError):
        return None
