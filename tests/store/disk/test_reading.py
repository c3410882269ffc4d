"""Of a file on this machine not more is read than was asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fintts_store.disk.reading import read_end
from fintts_store.errors import InvalidRecord


@pytest.mark.parametrize(
    ("limit", "since", "end"),
    [(10, 0, b"abcdef"), (10, 4, b"ef"), (2, 0, b"ef"), (2, 5, b"f"), (10, 6, b""), (10, 99, b"")],
)
def test_of_a_log_the_end_is_read(tmp_path: Path, limit: int, since: int, end: bytes) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"abcdef")
    assert read_end(log, limit, since) == end


def test_a_log_that_is_not_there_says_nothing_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    assert read_end(tmp_path / "none", 10) == b""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRecord, match="not a regular file"):
        read_end(tmp_path / "pipe", 10)
