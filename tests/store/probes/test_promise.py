"""A store is tried before the first run goes to it, and again when its server is another one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fintts_store.backends.directory import DirectoryStore
from fintts_store.disk.file_system import file_system_of
from fintts_store.errors import KeyExists, KeyNotFound, StoreUnsound
from fintts_store.layout import PROBES, PROMISE
from fintts_store.probes.promise import read_promise, require_promise, server_of
from memory_store import CountingStore, MemoryStore


class Careless(MemoryStore):
    """Looks first and writes afterwards, as OpenStack's Swift does."""

    races = 0

    def create(self, key: str, data: bytes) -> None:
        self.races += 1
        there = key in self._content
        time.sleep(0.005)
        if there:
            raise KeyExists(key)
        self.put(key, data)


class Named(CountingStore):
    """Says which server it is, and counts what is created."""

    name = "Ceph Object Gateway (squid)"
    created = 0

    def server(self) -> str:
        return self.name

    def create(self, key: str, data: bytes) -> None:
        with self._lock:
            self.created += 1
        super().create(key, data)


def test_a_store_that_lets_several_win_is_refused_each_time() -> None:
    store = Careless()
    for _ in range(2):
        with pytest.raises(StoreUnsound, match="cannot tell two writers apart") as refused:
            require_promise(store, single_writer=False)
        assert "--single-writer" in refused.value.hint
    found = read_promise(store)
    assert found is not None
    assert not found.is_exclusive
    assert store.list(PROBES) == []


def test_who_is_alone_may_use_it() -> None:
    store = Careless()
    require_promise(store, single_writer=True)
    assert store.races == 0


def test_a_sound_store_is_tried_once() -> None:
    store = Named()
    require_promise(store, single_writer=False)
    assert store.created == 80, "ten races of eight"
    require_promise(store, single_writer=False)
    assert store.created == 80
    found = read_promise(store)
    assert found is not None
    assert (found.server, found.races, found.writers) == (store.name, 10, 8)


@pytest.mark.parametrize("change", ["another version", "damage", "a newer record"])
def test_it_is_tried_again_when_the_server_is_another_one(change: str) -> None:
    store = Named()
    require_promise(store, single_writer=False)
    if change == "damage":
        store.put(PROMISE, b"{")
    elif change == "a newer record":
        found = read_promise(store)
        assert found is not None
        store.put(PROMISE, found.model_copy(update={"version": 2}).dump().encode())
    else:
        store.name = "Ceph Object Gateway (tentacle)"
    require_promise(store, single_writer=False)
    assert store.created == 160


def test_a_server_s_name_is_one_short_line() -> None:
    store = Named()
    store.name = "\x1b]52;c;x\x07" + "n" * 5000
    assert server_of(store).isprintable()
    assert len(server_of(store)) <= 1000


def test_a_folder_is_a_sound_store_and_says_its_file_system(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    require_promise(store, single_writer=False)
    found = read_promise(store)
    assert found is not None
    assert found.is_exclusive
    assert found.server == file_system_of(tmp_path)
    assert found.server
    assert [entry.key for entry in store.list("")] == [PROMISE]


def test_the_nearest_mount_counts_and_of_two_the_later(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "overlay / overlay rw 0 0\n"
        "/dev/sda1 /media/my\\040disk vfat rw 0 0\n"
        "/dev/sdb1 /media/my\\040disk exfat rw 0 0\n"
    )
    assert file_system_of(Path("/media/my disk/store"), mounts) == "exfat"
    assert file_system_of(Path("/media/other"), mounts) == "overlay"
    assert file_system_of(Path("/media"), tmp_path / "nothing") == ""


def test_a_store_that_was_never_tried_has_no_promise() -> None:
    store = MemoryStore()
    assert read_promise(store) is None
    with pytest.raises(KeyNotFound):
        store.get(PROMISE)
