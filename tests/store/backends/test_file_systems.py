"""File systems without hard links or fsync of folders: FAT itself, and what others answer."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fintts_store.backends.directory import DirectoryStore
from fintts_store.disk import new_name
from fintts_store.disk.durable import durable_directory
from fintts_store.errors import KeyExists, StoreDenied
from fintts_store.store import TEMPORARY_PREFIX, Store


@pytest.fixture
def fat_image(tmp_path: Path) -> Path:
    """A FAT file system of 16 MB, not mounted."""
    if shutil.which("mkfs.vfat") is None:
        pytest.skip("mkfs.vfat is not installed: make packages installs it")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.vfat", str(image)], check=True, capture_output=True)
    return image


@contextmanager
def mounted(folder: Path, mount: list[str], unmount: list[str]) -> Iterator[Path]:
    folder.mkdir()
    done = subprocess.run([*mount, str(folder)], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no FAT can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([*unmount, str(folder)], check=True)


@pytest.fixture
def fat(fat_image: Path) -> Iterator[Path]:
    """It, mounted by the kernel."""
    mount = ["mount", "-o", "loop", str(fat_image)]
    with mounted(fat_image.with_name("fat"), mount, ["umount"]) as disk:
        yield disk


@pytest.fixture
def fuse_fat(fat_image: Path) -> Iterator[Path]:
    """It, mounted by FUSE, which has neither hard links nor a rename that replaces nothing."""
    if shutil.which("fusefat") is None:
        pytest.skip("fusefat is not installed: make packages installs it")
    mount = ["fusefat", "-o", "rw+", str(fat_image)]
    with mounted(fat_image.with_name("fat"), mount, ["fusermount3", "-u"]) as disk:
        yield disk


def one_of_eight(store: Store, key: str) -> list[int]:
    """Who of eight writers was told that it had created the key."""
    start, won = threading.Barrier(8), list[int]()

    def create(number: int) -> None:
        start.wait()
        try:
            store.create(key, b"%d" % number * 10_000)
        except KeyExists:
            return
        won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def works(root: Path) -> None:
    """What a run needs of a store."""
    store = DirectoryStore(root)
    for race in range(10):
        (winner,) = one_of_eight(store, f"claims/{race}")
        assert store.get(f"claims/{race}") == b"%d" % winner * 10_000
    store.put("status", b"old")
    store.put("status", b"new")
    assert store.get("status") == b"new"
    with durable_directory(root / "checkpoint-1") as folder:
        (folder / "adapter").write_bytes(b"x")
    assert not list(root.rglob(f"{TEMPORARY_PREFIX}*"))


def test_a_store_works_on_fat(fat: Path) -> None:
    works(fat / "store")


def test_fat_by_fuse_is_refused_by_what_it_lacks(fuse_fat: Path) -> None:
    store = DirectoryStore(fuse_fat / "store")
    for write in (store.put, store.create):
        with pytest.raises(
            StoreDenied, match=r"cannot keep two writers apart.*link\(\).*renameat2"
        ):
            write("a", b"x")
    assert store.list("") == []
    assert not list(fuse_fat.rglob(f"{TEMPORARY_PREFIX}*"))


def answering(number: int) -> Callable[..., None]:
    def call(*_arguments: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_hard_links_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "link", answering(number))
    works(tmp_path / "store")


def test_a_file_system_that_keeps_no_two_writers_apart_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", answering(errno.ENOTSUP))
    monkeypatch.setattr(new_name, "rename_without_replacing", answering(errno.EINVAL))
    with pytest.raises(StoreDenied, match=r"link\(\).*renameat2") as refused:
        DirectoryStore(tmp_path / "store").create("a", b"x")
    assert "another file system" in refused.value.hint


def test_a_machine_without_renameat2_is_refused_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS, whose C library has no such function."""
    monkeypatch.setattr(os, "link", answering(errno.ENOTSUP))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_more: object())
    with pytest.raises(StoreDenied, match=r"link\(\).*renameat2"):
        DirectoryStore(tmp_path / "store").create("a", b"x")


def test_a_link_that_is_refused_for_another_reason_stays_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", answering(errno.EACCES))
    with pytest.raises(StoreDenied, match="cannot be accessed"):
        DirectoryStore(tmp_path / "store").create("a", b"x")


fsync = os.fsync


def fsync_without(kind: Callable[[int], bool]) -> Callable[[int], None]:
    def call(descriptor: int) -> None:
        if kind(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    return call


def test_a_file_system_without_fsync_of_folders_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", fsync_without(stat.S_ISDIR))
    works(tmp_path / "store")


def test_a_file_system_without_fsync_of_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", fsync_without(stat.S_ISREG))
    with pytest.raises(StoreDenied, match=r"lacks fsync\(\)") as refused:
        DirectoryStore(tmp_path / "store").put("a", b"x")
    assert refused.value.hint == "choose another directory with --store"
