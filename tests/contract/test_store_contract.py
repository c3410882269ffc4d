"""What every store must do; each adapter joins by one more parameter."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.going_on import restore_to_go_on
from fintts_store.errors import (
    Fenced,
    InvalidKey,
    InvalidRecord,
    KeyExists,
    KeyNotFound,
    StoreError,
)
from fintts_store.layout import PROMISE
from fintts_store.probes.promise import NamesItsServer, read_promise, require_promise, server_of
from fintts_store.runs.claims import take_claim
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.store import CHUNK_BYTES, Entry, Store
from memory_store import MemoryStore
from radosgw import Radosgw
from s3_servers import make_bucket

Maker = Callable[[pytest.FixtureRequest, Path], Store]


def in_moto(request: pytest.FixtureRequest, _folder: Path) -> Store:
    endpoint_url: str = request.getfixturevalue("moto_endpoint")
    return S3Store(make_bucket(endpoint_url, f"b{secrets.token_hex(8)}"))


def in_radosgw(request: pytest.FixtureRequest, _folder: Path) -> Store:
    gateway: Radosgw = request.getfixturevalue("gateway")
    return S3Store(make_bucket(gateway.url, f"b{secrets.token_hex(8)}"))


def in_radosgw_by_tls(request: pytest.FixtureRequest, _folder: Path) -> Store:
    gateway: Radosgw = request.getfixturevalue("gateway")
    patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    patch.setenv("AWS_CA_BUNDLE", str(gateway.certificate))
    return S3Store(make_bucket(gateway.tls_url, f"b{secrets.token_hex(8)}"))


MAKERS: dict[str, Maker] = {
    "directory": lambda _, folder: DirectoryStore(folder / "store"),
    "memory": lambda _, __: MemoryStore(),
    "s3-moto": in_moto,
    "s3-radosgw": in_radosgw,
    "s3-radosgw-tls": in_radosgw_by_tls,
}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MAKERS[request.param](request, tmp_path)


def test_what_was_put_is_got(store: Store, tmp_path: Path) -> None:
    store.put("a/b.txt", b"one")
    assert store.get("a/b.txt") == b"one"
    store.put("a/b.txt", b"")
    assert store.get("a/b.txt") == b""
    path = tmp_path / "big"
    path.write_bytes(bytes(range(256)) * 10_000)
    store.put("a/big", path)
    chunks = list(store.stream("a/big"))
    assert b"".join(chunks) == path.read_bytes()
    assert max(map(len, chunks)) <= CHUNK_BYTES
    assert len(chunks) > 2
    assert b"".join(store.stream("a/big", 1_500_000)) == path.read_bytes()[1_500_000:]
    for nothing_left in (len(path.read_bytes()), len(path.read_bytes()) + 1):
        assert list(store.stream("a/big", nothing_left)) == []


def test_a_file_that_is_not_there_cannot_be_put(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be stored"):
        store.put("a", tmp_path / "nothing")
    assert store.list("") == []


def test_a_key_that_is_not_there_is_an_error(store: Store) -> None:
    store.put("a/b", b"x")
    for key in ("b", "a", "a/b/c", "a/bb"):
        with pytest.raises(StoreError):
            store.get(key)
        with pytest.raises(StoreError):
            list(store.stream(key))
    with pytest.raises(KeyNotFound):
        store.get("a/c")


def test_create_writes_once(store: Store) -> None:
    store.create("c/1", b"mine")
    with pytest.raises(KeyExists):
        store.create("c/1", b"theirs")
    with pytest.raises(KeyExists):
        store.create("c/1", b"mine")
    assert store.get("c/1") == b"mine"


def race(store: Store, key: str) -> list[bytes]:
    """Eight threads create one key at once; what the winners wrote."""
    start, won = threading.Barrier(8), list[bytes]()

    def run(number: int) -> None:
        data = bytes([number]) * 50_000
        start.wait()
        try:
            store.create(key, data)
        except KeyExists:
            assert len(store.get(key)) == 50_000
        else:
            won.append(data)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def test_one_of_eight_wins_a_race_and_nobody_sees_a_half(store: Store) -> None:
    for number in range(20):
        key = f"claims/{number}"
        assert race(store, key) == [store.get(key)]


def test_readers_see_the_old_or_the_new_and_never_a_part(store: Store) -> None:
    contents = [bytes([number]) * 200_000 for number in range(2)]
    store.put("status", contents[0])
    done, torn = threading.Event(), list[int]()

    def read() -> None:
        while not done.is_set():
            seen = store.get("status")
            if seen not in contents:
                torn.append(len(seen))

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(200):
        store.put("status", contents[number % 2])
    done.set()
    thread.join()
    assert torn == []


def test_listing_is_sorted_exact_and_deep(store: Store) -> None:
    for key in ("runs/b/x", "runs/a/z/1", "runs/a/y", "runsx", "runs/ab/c"):
        store.put(key, key.encode())
    assert store.list("runs/a/") == [Entry("runs/a/y", 8), Entry("runs/a/z/1", 10)]
    assert [e.key for e in store.list("runs/a")] == ["runs/a/y", "runs/a/z/1", "runs/ab/c"]
    assert [e.key for e in store.list("")] == sorted(
        ["runs/b/x", "runs/a/z/1", "runs/a/y", "runsx", "runs/ab/c"]
    )
    assert store.list("nothing/here") == []
    assert store.folders("runs/") == ["a", "ab", "b"]
    assert store.folders("") == ["runs"]
    assert store.folders("runs/a/") == ["z"]


def test_delete_is_idempotent_and_takes_nothing_else(store: Store) -> None:
    store.put("a/1", b"x")
    store.put("a/12", b"y")
    store.delete("a/1")
    store.delete("a/1")
    store.delete("a")
    store.delete("nothing/at/all")
    assert [entry.key for entry in store.list("")] == ["a/12"]


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/.", "a\\b", "a/"]
)
def test_keys_that_leave_the_store_are_refused(store: Store, key: str) -> None:
    for attempt in (
        lambda: store.put(key, b"x"),
        lambda: store.create(key, b"x"),
        lambda: store.get(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(InvalidKey):
            attempt()


def test_what_was_written_is_not_unfinished(store: Store) -> None:
    store.put("a/b", b"x")
    store.create("a/c", b"x")
    assert store.unfinished("") == store.unfinished("a/") == []
    with pytest.raises(InvalidKey):
        store.unfinished("../")


def test_no_more_is_got_than_the_limit(store: Store) -> None:
    store.put("a/b", b"x" * 1000)
    assert len(store.get("a/b", 1000)) == 1000
    with pytest.raises(InvalidRecord, match="more than 999 bytes"):
        store.get("a/b", 999)
    store.put("a/large", b"x" * (RECORD_BYTES + 1))
    with pytest.raises(InvalidRecord, match="a/large has more than"):
        store.get("a/large")


def test_a_store_keeps_its_promise_and_remembers_that(store: Store) -> None:
    require_promise(store, single_writer=False)
    found = read_promise(store)
    assert found is not None
    assert found.is_exclusive
    assert found.server == server_of(store)
    assert bool(found.server) == isinstance(store, NamesItsServer)
    assert [entry.key for entry in store.list("")] == [PROMISE]
    assert store.unfinished("") == []


def test_a_run_is_taken_over_and_goes_on(store: Store, tmp_path: Path) -> None:
    """What the trainer asks of a store, in its order."""

    def committer(claim: int) -> Committer:
        return Committer(store, "tiny", claim, keep_last=1, keep_best=False)

    def commit(claim: int, step: int) -> None:
        folder = tmp_path / f"checkpoint-{claim}-{step}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(secrets.token_bytes(1000))
        facts = CheckpointFacts(step, "c", "b", "val/loss", "min", None)
        committer(claim).commit(folder, facts)

    def go_on(claim: int) -> int | None:
        found = restore_to_go_on(
            store, "tiny", claim, tmp_path / "resumed", lambda _, __: None, patience_seconds=0
        )
        return None if found is None else found.step

    assert take_claim(store, "tiny", "first") == 1
    assert go_on(1) is None
    for step in (10, 20):
        commit(1, step)
    assert take_claim(store, "tiny", "second") == 2
    assert go_on(2) == 20
    with pytest.raises(Fenced):
        commit(1, 30)
    assert committer(1).rotate() == []
    assert [manifest.step for manifest in committer(2).rotate()] == [10]
    assert go_on(2) == 20
