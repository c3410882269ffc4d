"""A directory store whose disk is unmounted, or whose folder is renamed, while somebody works."""

from __future__ import annotations

import os
import shutil
import subprocess
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fintts_store.backends import directory
from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.marker import MARKER
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.errors import InvalidKey, KeyNotFound, StoreError, StoreUnreachable
from fintts_store.runs.claims import take_claim
from small_disk import small_disk

RUN = "tiny"
CALLS: dict[str, Callable[[DirectoryStore], object]] = {
    "put": lambda store: store.put("a/b", b"x"),
    "create": lambda store: store.create("a/c", b"x"),
    "get": lambda store: store.get("a/b"),
    "get what was never there": lambda store: store.get("nothing"),
    "list": lambda store: store.list(""),
    "folders": lambda store: store.folders(""),
    "delete": lambda store: store.delete("a/b"),
    "unfinished": lambda store: store.unfinished(""),
}


def used(root: Path) -> DirectoryStore:
    store = DirectoryStore(root)
    store.put("a/b", b"x")
    return store


@pytest.mark.parametrize("call", CALLS)
def test_a_store_whose_folder_was_renamed_is_waited_for(tmp_path: Path, call: str) -> None:
    store = used(tmp_path / "store")
    store.root.rename(tmp_path / "away")
    with pytest.raises(StoreUnreachable, match="was there"):
        CALLS[call](store)
    assert not store.root.exists(), "nobody makes it anew"
    (tmp_path / "away").rename(store.root)
    if call != "get what was never there":
        CALLS[call](store)


@pytest.mark.parametrize("call", CALLS)
def test_a_store_whose_disk_was_unmounted_is_waited_for(tmp_path: Path, call: str) -> None:
    """What is seen then is the empty folder below."""
    with small_disk(tmp_path / "disk", "4m") as disk:
        store = used(disk)
        subprocess.run(["mount", "--move", str(disk), str(mounted_elsewhere(tmp_path))], check=True)
        try:
            with pytest.raises(StoreUnreachable, match="was there"):
                CALLS[call](store)
            assert list(disk.iterdir()) == []
        finally:
            subprocess.run(
                ["mount", "--move", str(mounted_elsewhere(tmp_path)), str(disk)], check=True
            )
        assert [entry.key for entry in store.list("")] == ["a/b"]


def mounted_elsewhere(folder: Path) -> Path:
    """A place to which a mount can be moved: it has to be below a private one."""
    place = folder / "elsewhere"
    place.mkdir(exist_ok=True)
    return place


def test_another_store_in_its_place_is_not_written_to(tmp_path: Path) -> None:
    store = used(tmp_path / "store")
    shutil.rmtree(store.root)
    used(tmp_path / "store")
    for call in ("put", "list", "delete"):
        with pytest.raises(StoreUnreachable, match="was there"):
            CALLS[call](store)


def test_a_store_that_was_only_read_is_not_made_anew_either(tmp_path: Path) -> None:
    used(tmp_path / "store")
    reader = DirectoryStore(tmp_path / "store")
    assert reader.get("a/b") == b"x"
    shutil.rmtree(tmp_path / "store")
    for call in CALLS.values():
        with pytest.raises(StoreUnreachable):
            call(reader)
    assert list(tmp_path.iterdir()) == []


def test_reading_makes_nothing(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "deep" / "store")
    assert store.list("") == []
    assert store.folders("") == store.unfinished("") == []
    store.delete("a/b")
    with pytest.raises(KeyNotFound):
        store.get("a/b")
    assert list(tmp_path.iterdir()) == []


def test_the_first_write_makes_the_store_with_a_marker_that_is_no_key(tmp_path: Path) -> None:
    store = used(tmp_path / "deep" / "store")
    marker = store.root / MARKER
    assert marker.read_bytes()
    assert [entry.key for entry in store.list("")] == ["a/b"]
    assert [entry.key for entry in store.list(".")] == []
    for call in (store.get, store.delete, lambda key: store.put(key, b"x")):
        with pytest.raises(InvalidKey):
            call(MARKER)
    store.delete("a/b")
    assert marker.exists()


def test_a_store_of_an_earlier_version_gets_its_marker_when_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "store" / "a").mkdir(parents=True)
    (tmp_path / "store" / "a" / "b").write_bytes(b"old")
    store = DirectoryStore(tmp_path / "store")
    assert store.get("a/b") == b"old"
    assert [entry.key for entry in store.list("")] == ["a/b"]
    assert not (store.root / MARKER).exists()
    store.put("a/c", b"new")
    assert (store.root / MARKER).exists()
    store.root.rename(tmp_path / "away")
    with pytest.raises(StoreUnreachable):
        store.list("")


def test_a_store_of_an_earlier_version_that_was_only_read_is_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "store" / "a").mkdir(parents=True)
    (tmp_path / "store" / "a" / "b").write_bytes(b"old")
    store = DirectoryStore(tmp_path / "store")
    assert store.get("a/b") == b"old"
    store.root.rename(tmp_path / "away")
    for call in ("put", "create", "list", "folders", "delete"):
        with pytest.raises(StoreUnreachable, match="was there"):
            CALLS[call](store)
    assert not store.root.exists()


@pytest.mark.parametrize("call", ["list", "folders"])
def test_a_listing_during_which_the_disk_goes_is_no_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store = used(tmp_path / "store")
    scan = directory._scan

    def gone_first(folder: Path) -> list[os.DirEntry[str]]:
        if store.root.exists():
            store.root.rename(tmp_path / "away")
        return scan(folder)

    monkeypatch.setattr(directory, "_scan", gone_first)
    with pytest.raises(StoreUnreachable, match="was there"):
        CALLS[call](store)


def test_a_huge_marker_is_not_read_into_memory(tmp_path: Path) -> None:
    store = used(tmp_path / "store")
    os.truncate(store.root / MARKER, 64 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(StoreUnreachable):
            store.list("")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_two_that_make_a_store_at_once_make_one(tmp_path: Path) -> None:
    first, second = DirectoryStore(tmp_path / "store"), DirectoryStore(tmp_path / "store")
    first.put("a", b"x")
    second.put("b", b"x")
    first.put("c", b"x")
    assert len(second.list("")) == 3


def test_threads_that_make_a_store_at_once_make_one(tmp_path: Path) -> None:
    for attempt in range(20):
        store = DirectoryStore(tmp_path / f"store-{attempt}")
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(store.put, f"a/{n}", b"x") for n in range(8)]:
                done.result()
        assert len(store.list("")) == 8


def test_a_commit_waits_for_the_store_and_is_not_taken_over(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    committer = Committer(store, RUN, take_claim(store, RUN, "me"), keep_last=2, keep_best=False)
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"x" * 100)
    facts = CheckpointFacts(1, "c", "b", "val/loss", "min", None)
    store.root.rename(tmp_path / "away")
    for attempt in (lambda: committer.commit(folder, facts), committer.rotate):
        with pytest.raises(StoreError) as refused:
            attempt()
        assert isinstance(refused.value, StoreUnreachable)
    assert not store.root.exists()
    (tmp_path / "away").rename(store.root)
    assert committer.commit(folder, facts).step == 1
