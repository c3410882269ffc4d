"""Reads local files that others may have written: regular files only, up to a size limit."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from fintts_store.disk.errors import explained
from fintts_store.errors import InvalidRecord
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.store import CHUNK_BYTES, read_all


def open_plain(path: Path) -> BinaryIO:
    """Opens a regular file for reading.

    Raises:
        InvalidRecord: it is a pipe, a device or a folder, where reading might never end.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise InvalidRecord(f"{path} is not a regular file", "inspect it, and remove it")


def read_limited(path: Path, limit_bytes: int = RECORD_BYTES) -> bytes:
    """The whole content of a small file.

    Raises:
        FileNotFoundError: the file does not exist.
        InvalidRecord: it is too large, or not a regular file.
        StoreError: it cannot be read.
    """
    with explained(path), open_plain(path) as file:
        chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
        return read_all(chunks, limit_bytes, str(path))


def read_end(path: Path, limit_bytes: int, since: int = 0) -> bytes:
    """The content of a log from the position `since` on: at most the last `limit_bytes`; empty if
    there is no such file.

    Raises:
        InvalidRecord: it is not a regular file.
        StoreError: it cannot be read.
    """
    if not path.exists():
        return b""
    with explained(path), open_plain(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(since, size - limit_bytes, 0))
        return file.read(limit_bytes)
