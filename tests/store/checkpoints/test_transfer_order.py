"""What takes longest is not begun last, when the others have ended and the line is half empty."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fintts_store import file_names
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.restore import restore
from fintts_store.network.parallel import AT_ONCE
from fintts_store.runs.claims import take_claim
from memory_store import MemoryStore

RUN = "mine"
NAMES = "abcdefgh"
LARGEST = set(NAMES[-AT_ONCE:])


class GatheringStore(MemoryStore):
    """Lets nobody begin with a file before AT_ONCE have come to it, and notes who came first."""

    def __init__(self) -> None:
        super().__init__()
        self.first: set[str] = set()
        self._together = threading.Barrier(AT_ONCE, timeout=20)

    def put(self, key: str, source: bytes | Path) -> None:
        self._gather(key)
        super().put(key, source)

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        if "/checkpoints/" in key:
            self._gather(key)
        yield from super().stream(key, start)

    def _gather(self, key: str) -> None:
        if len(self.first) < AT_ONCE:
            self.first.add(key[-1])
        self._together.wait()


def test_the_largest_files_go_and_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A checkpoint has fewer files than are carried at once.
    monkeypatch.setattr(file_names, "CHECKPOINT", frozenset(NAMES))
    store = GatheringStore()
    folder = tmp_path / "local"
    folder.mkdir()
    for size, name in enumerate(NAMES):
        (folder / name).write_bytes(bytes(size))
    claim = take_claim(store, RUN, "me")
    facts = CheckpointFacts(100, "c", "b", "val/loss", "min", 4.5)
    manifest = Committer(store, RUN, claim, keep_last=5, keep_best=True).commit(folder, facts)
    assert store.first == LARGEST
    assert [file.name for file in manifest.files] == list(NAMES), "in the manifest by name"
    store.first.clear()
    restore(store, manifest, tmp_path / "back")
    assert store.first == LARGEST
