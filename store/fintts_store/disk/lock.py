"""An exclusive lock on a folder; other processes wait."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fintts_store.disk.durable import make_directories
from fintts_store.disk.errors import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path


def _wait_quietly() -> None:
    pass


@contextmanager
def alone_in(folder: Path, on_wait: Callable[[], None] = _wait_quietly) -> Generator[None]:
    """Makes the folder, and locks it while the block lasts.

    The lock is on the folder itself, so it needs no file and ends with the process. On a file
    system without locks, the block runs unlocked.

    Args:
        on_wait: called once if another process holds the lock.

    Raises:
        StoreError: the folder cannot be made.
    """
    with explained(folder):
        make_directories(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(descriptor, on_wait)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, on_wait: Callable[[], None]) -> None:
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:  # some network file systems lock no folders
        return
