"""A large file is on its way to the disk while the rest of it comes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from fintts_store.disk.durable import EarlyWriteBack

CHUNK = b"0123456789" * 100


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked to begin")
def test_all_but_the_last_bytes_are_on_their_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[int, int]] = []
    advise = os.posix_fadvise

    def noted(descriptor: int, first: int, size: int, advice: int) -> None:
        assert os.fstat(descriptor).st_size >= first + size, "what is written was also flushed"
        begun.append((first, size))
        advise(descriptor, first, size, advice)

    monkeypatch.setattr(os, "posix_fadvise", noted)
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with path.open("ab") as file:
        disk = EarlyWriteBack(file, 3 * len(CHUNK))
        for _ in range(7):
            disk.write(CHUNK)
    step = 3 * len(CHUNK)
    assert begun == [(6, step), (6 + step, step)]
    assert path.read_bytes() == b"before" + 7 * CHUNK


def test_a_file_system_that_takes_no_advice_takes_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    with (tmp_path / "file").open("wb") as file:
        EarlyWriteBack(file, 1).write(CHUNK)
    assert (tmp_path / "file").read_bytes() == CHUNK
