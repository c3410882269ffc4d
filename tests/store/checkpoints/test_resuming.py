"""A restore that was broken off goes on from what has come, and trusts none of it unseen."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.restore import discard_partial, is_whole, partial_name, restore
from fintts_store.errors import CheckpointCorrupt, StoreFull, StoreUnreachable
from fintts_store.runs.claims import take_claim
from fintts_store.store import CHUNK_BYTES
from memory_store import MemoryStore

RUN = "mine"
SIZE = 3 * CHUNK_BYTES
SMALL = 100


class MeteredStore(MemoryStore):
    """Counts the bytes that are read, and breaks off once so many have been."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self.breaks_at: int | None = None
        self.error: BaseException = StoreUnreachable("the connection broke")

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        for chunk in super().stream(key, start):
            if self.breaks_at is not None and self.read + len(chunk) > self.breaks_at:
                raise self.error
            self.read += len(chunk)
            yield chunk


def commit(store: MemoryStore | DirectoryStore, folder: Path, step: int = 100) -> Manifest:
    """A checkpoint of two files, of which the large one takes a few chunks."""
    local = folder / f"local-{step}"
    local.mkdir()
    (local / "adapter_model.safetensors").write_bytes(secrets.token_bytes(SIZE))
    (local / "adapter_config.json").write_bytes(secrets.token_bytes(SMALL))
    (local / "trainer_state.json").touch()
    claim = take_claim(store, RUN, "me")
    facts = CheckpointFacts(step, "c", "b", "val/loss", "min", 4.5)
    return Committer(store, RUN, claim, keep_last=5, keep_best=True).commit(local, facts)


def broken_off(store: MeteredStore, folder: Path) -> tuple[Manifest, Path]:
    """A checkpoint of which a part has been restored; and where it lies."""
    manifest = commit(store, folder)
    store.breaks_at = 2 * CHUNK_BYTES + SMALL
    with pytest.raises(StoreUnreachable):
        restore(store, manifest, folder / "back")
    assert not (folder / "back").exists()
    store.breaks_at = None
    return manifest, folder / partial_name(manifest.name)


def test_only_what_is_missing_is_read_again(tmp_path: Path) -> None:
    store = MeteredStore()
    manifest, partial = broken_off(store, tmp_path)
    there = sum(path.stat().st_size for path in partial.iterdir())
    assert there == store.read >= 2 * CHUNK_BYTES
    came: list[int] = []
    restore(store, manifest, tmp_path / "back", came.append)
    assert store.read == SIZE + SMALL, "not a byte twice"
    assert sum(came) == SIZE + SMALL
    assert is_whole(manifest, tmp_path / "back")
    assert not partial.exists()


def test_what_was_spoilt_meanwhile_is_fetched_anew(tmp_path: Path) -> None:
    store = MeteredStore()
    manifest, partial = broken_off(store, tmp_path)
    begun = (partial / "adapter_model.safetensors").read_bytes()
    (partial / "adapter_model.safetensors").write_bytes(bytes(len(begun)))
    came: list[int] = []
    restore(store, manifest, tmp_path / "back", came.append)
    assert is_whole(manifest, tmp_path / "back")
    assert sum(came) == SIZE + SMALL < sum(size for size in came if size > 0)


@pytest.mark.parametrize("trick", ["longer", "symlink"])
def test_what_can_be_no_part_of_it_is_not_built_upon(tmp_path: Path, trick: str) -> None:
    store = MeteredStore()
    manifest, partial = broken_off(store, tmp_path)
    file, elsewhere = partial / "adapter_model.safetensors", tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    if trick == "longer":
        file.write_bytes(bytes(SIZE + 1))
    else:
        file.unlink()
        file.symlink_to(elsewhere)
    restore(store, manifest, tmp_path / "back")
    assert is_whole(manifest, tmp_path / "back")
    assert not (tmp_path / "back" / "adapter_model.safetensors").is_symlink()
    assert elsewhere.read_bytes() == b"mine"


def test_a_full_disk_and_a_damaged_object_leave_nothing_behind(tmp_path: Path) -> None:
    store = MeteredStore()
    manifest = commit(store, tmp_path)
    store.breaks_at, store.error = CHUNK_BYTES, StoreFull("no space is left")
    with pytest.raises(StoreFull):
        restore(store, manifest, tmp_path / "back")
    store.breaks_at = None
    [key] = [
        entry.key for entry in store.list("") if entry.key.endswith("/adapter_model.safetensors")
    ]
    store.put(key, bytes(SIZE))
    with pytest.raises(CheckpointCorrupt):
        restore(store, manifest, tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir()] == ["local-100"]


def test_what_nobody_will_take_up_again_is_discarded(tmp_path: Path) -> None:
    store = MeteredStore()
    manifest, partial = broken_off(store, tmp_path)
    discard_partial(tmp_path, [manifest.name])
    assert partial.exists()
    discard_partial(tmp_path, [])
    assert not partial.exists()
    assert (tmp_path / "local-100").exists()


SLOWLY = """
import sys, time
from pathlib import Path
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.restore import restore

store = DirectoryStore(Path(sys.argv[1]))
[manifest] = list_manifests(store, "mine")
restore(store, manifest, Path(sys.argv[2]), lambda _: time.sleep(0.3))
"""


def test_a_killed_process_s_part_is_taken_up(tmp_path: Path) -> None:
    store, folder = DirectoryStore(tmp_path / "store"), tmp_path / "here"
    manifest = commit(store, tmp_path)
    command = [sys.executable, "-c", SLOWLY, str(tmp_path / "store"), str(folder / "back")]
    partial = folder / partial_name(manifest.name) / "adapter_model.safetensors"
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 60
        while not partial.exists() or not partial.stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    begun = partial.stat().st_size
    assert 0 < begun < SIZE
    came: list[int] = []
    restore(store, manifest, folder / "back", came.append)
    assert begun in came, "it was counted as being there"
    assert sum(came) == SIZE + SMALL
    assert [path.name for path in folder.iterdir()] == ["back"]
    assert is_whole(manifest, folder / "back")
