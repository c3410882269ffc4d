"""Looking for processes, and ending them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DOWN_WITHIN_SECONDS = 30.0


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
    """What was started with this HOME, and daemons: these may have overwritten their environment
    with a title, but have no parent left in the enclosure other than its first process."""
    parent_of = dict(parents())
    own = _line(os.getpid(), parent_of)
    daemons = [pid for pid, parent in parent_of.items() if parent == 1 and pid not in own]
    return [*daemons, *(pid for pid in parent_of if pid not in own and _has_home(pid, home))]


def _line(pid: int, parent_of: dict[int, int]) -> set[int]:
    """The process and its forefathers."""
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
            if fields[0] != "Z":
                yield int(folder.name), int(fields[1])


@contextmanager
def _gone() -> Iterator[None]:
    """Lets a process end while it is looked at."""
    with suppress(FileNotFoundError, ProcessLookupError):
        yield
