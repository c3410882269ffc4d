"""Looking for processes, and ending them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DOWN_WITHIN_SECONDS = 30.0
FIRST = 1
"""the process from which all others descend"""


def kill_all(doomed: Callable[[], list[int]]) -> None:
    """Until none is found: whom a process leaves behind is found next time."""
    deadline = time.monotonic() + DOWN_WITHIN_SECONDS
    while left := doomed():
        if time.monotonic() > deadline:
            message = f"processes outlive SIGKILL: {left}"
            raise RuntimeError(message)
        for pid in left:
            with _gone():
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def on_laptop(home: Path) -> list[int]:
    """What was started with this HOME, and whatever does not descend from the caller or from those
    that started it: daemons, which may have overwritten their environment with a title, and what
    these started."""
    parent_of = dict(parents())
    own = _line(os.getpid(), parent_of)
    session = own - {FIRST}
    return [
        pid
        for pid in parent_of
        if pid not in own and (_has_home(pid, home) or not session & _line(pid, parent_of))
    ]


def _line(pid: int, parent_of: dict[int, int]) -> set[int]:
    """The process and its forefathers, as far as they are known."""
    line = {pid}
    while (pid := parent_of.get(pid, 0)) > 0:
        line.add(pid)
    return line


def _has_home(pid: int, home: Path) -> bool:
    environment = b""
    with _gone():
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    return f"HOME={home}".encode() in environment.split(b"\0")


def child_of(pid: int) -> int | None:
    """One that the process has, if it has any."""
    return next((child for child, parent in parents() if parent == pid), None)


def parents() -> Iterator[tuple[int, int]]:
    """Each living process with its parent; one that waits to be collected does not live."""
    for folder in Path("/proc").glob("[0-9]*"):
        with _gone():
            # The second field is a name in brackets, which may hold anything.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z" or _has_threads(folder):
                yield int(folder.name), int(fields[1])


def _has_threads(folder: Path) -> bool:
    """Beside its first one, after whose end a process goes on, and has its children."""
    return len(list((folder / "task").iterdir())) > 1


@contextmanager
def _gone() -> Iterator[None]:
    """Lets a process end while it is looked at."""
    with suppress(FileNotFoundError, ProcessLookupError):
        yield
