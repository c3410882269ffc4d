"""The directory store on disks that are full, read-only or shared, and what it leaves behind."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fintts_store.backends import directory
from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.marker import MARKER
from fintts_store.disk.durable import durable_directory
from fintts_store.errors import (
    KeyNotFound,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnreachable,
)
from fintts_store.opening import open_store
from fintts_store.runs import limits
from fintts_store.store import TEMPORARY_PREFIX
from small_disk import small_disk


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MiB."""
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(f"{TEMPORARY_PREFIX}*")]


def write_folder(target: Path, files: dict[str, bytes | None]) -> None:
    """A None among the contents breaks the writing off."""
    with durable_directory(target) as folder:
        for name, data in files.items():
            if data is None:
                raise TypeError(name)
            (folder / name).write_bytes(data)


def test_a_full_disk_keeps_what_was_there_and_leaves_nothing_behind(
    small_disk: Path, tmp_path: Path
) -> None:
    store = DirectoryStore(small_disk)
    store.put("status", b"old")
    big = tmp_path / "big"
    big.write_bytes(bytes(5_000_000))
    with pytest.raises(StoreFull) as full:
        store.put("status", big)
    assert full.value.hint
    with pytest.raises(StoreFull):
        store.create("new", big.read_bytes())
    assert store.get("status") == b"old"
    with pytest.raises(StoreFull):
        store.put("a/new/folder/big", big)
    assert sorted(path.name for path in small_disk.rglob("*")) == [MARKER, "status"]
    assert [entry.key for entry in store.list("")] == ["status"]


def test_a_checkpoint_that_does_not_fit_is_not_there(small_disk: Path) -> None:
    target = small_disk / "checkpoint-100"
    with pytest.raises(StoreFull):
        write_folder(target, {"small": b"x", "big": bytes(5_000_000)})
    assert not target.exists()
    assert leftovers(small_disk) == []


def test_a_read_only_disk_is_denied_with_a_mend(small_disk: Path) -> None:
    store = DirectoryStore(small_disk)
    store.put("status", b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreDenied) as denied:
        store.put("status", b"new")
    assert "--store" in denied.value.hint
    with pytest.raises(StoreDenied):
        store.delete("status")
    assert store.get("status") == b"old"


def test_a_file_where_a_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreDenied, match="cannot be used"):
        DirectoryStore(tmp_path / "store").put("runs/a", b"x")


def test_temporary_files_are_not_listed_and_can_be_discarded(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.put("runs/a/x", b"x")
    torn = tmp_path / "runs" / "a" / f"{TEMPORARY_PREFIX}0000-y"
    torn.write_bytes(b"half")
    assert [entry.key for entry in store.list("")] == ["runs/a/x"]
    store.discard_unfinished("runs/a/x")
    assert torn.exists()
    store.discard_unfinished("runs/a/y")
    assert not torn.exists()
    assert store.get("runs/a/x") == b"x"


def test_links_are_not_followed_out_of_the_store(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    root = tmp_path / "store"
    root.mkdir()
    (root / "link").symlink_to(outside)
    assert DirectoryStore(root).list("") == []


def test_a_listing_has_a_limit_in_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEYS", 3)
    store = DirectoryStore(tmp_path)
    for number in range(3):
        store.put(f"a/{number}", b"")
    assert len(store.list("a/")) == 3
    store.put("a/4", b"")
    for number in range(4):
        store.put(f"several/{number}/a", b"")
    with pytest.raises(StoreDenied, match="has more than 3 keys"):
        store.list("a/")
    with pytest.raises(StoreDenied, match="has more than 3 keys"):
        store.folders("several/")


def test_durable_directory_replaces_and_survives_an_error(tmp_path: Path) -> None:
    target = tmp_path / "c"
    write_folder(target, {"a": b"1"})
    with pytest.raises(TypeError):
        write_folder(target, {"a": b"2", "b": None})
    assert (target / "a").read_text() == "1"
    write_folder(target, {"b": b"3"})
    assert [path.name for path in target.iterdir()] == ["b"]
    assert leftovers(tmp_path) == []


def test_what_a_failed_replacement_moved_aside_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "c"
    write_folder(target, {"a": b"1"})
    rename = Path.rename

    def fail_for_the_new(path: Path, to: Path) -> Path:
        if to == target and (path / "a").read_bytes() == b"2":
            raise OSError(errno.EIO, "a bad sector")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(StoreUnreachable, match="a bad sector"):
        write_folder(target, {"a": b"2"})
    assert (target / "a").read_bytes() == b"1"
    assert leftovers(tmp_path) == []


def test_a_key_that_vanishes_during_a_listing_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DirectoryStore(tmp_path)
    for key in ("a", "b"):
        store.put(key, b"x")
    scan = directory._scan

    def scan_and_lose_a_file(folder: Path) -> list[os.DirEntry[str]]:
        found = scan(folder)
        (folder / "a").unlink()
        return found

    monkeypatch.setattr(directory, "_scan", scan_and_lose_a_file)
    assert [entry.key for entry in store.list("")] == ["b"]


def test_opening_a_store(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "new"))
    assert store.list("") == []
    with pytest.raises(KeyNotFound):
        store.get("x")
    with pytest.raises(StoreError, match="not the address of a supported store"):
        open_store("gs://bucket/prefix")
