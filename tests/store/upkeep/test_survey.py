"""What is damaged, left over or unfinished in a store is named; what merely goes on is not."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.errors import StoreUnreachable
from fintts_store.runs.claims import take_claim
from fintts_store.runs.end_run import end_run
from fintts_store.runs.runs import create_run
from fintts_store.store import TEMPORARY_PREFIX, Entry, Store
from fintts_store.upkeep.byte_check import read_checkpoint
from fintts_store.upkeep.faults import Fault, Kind
from fintts_store.upkeep.survey import survey_run, survey_store
from memory_store import MemoryStore
from run_samples import DATA, DIGEST, record, result
from s3_servers import make_bucket

RUN = "tiny"
ORPHAN = "000001-000000900-0123abcd"


def commit(store: Store, folder: Path, step: int, claim: int = 1) -> Manifest:
    target = folder / f"checkpoint-{claim}-{step}"
    target.mkdir()
    (target / "adapter_model.safetensors").write_bytes(secrets.token_bytes(1000))
    (target / "trainer_state.json").write_bytes(secrets.token_bytes(10))
    facts = CheckpointFacts(step, "c", DIGEST, "val/loss", "min", None)
    return Committer(store, RUN, claim, keep_last=5, keep_best=False).commit(target, facts)


def begin(store: Store) -> Store:
    one = record(run=RUN)
    store.put(one.packed.key, DATA)
    create_run(store, one)
    take_claim(store, RUN, "me")
    return store


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    begin(store)
    return store


def file_key(manifest: Manifest, name: str = "adapter_model.safetensors") -> str:
    return layout.checkpoint_prefix(RUN, manifest.name) + name


def told(faults: tuple[Fault, ...]) -> list[tuple[Kind, int | None, str]]:
    return [(fault.kind, fault.step, fault.sentence) for fault in faults]


def test_a_sound_run_has_no_faults(store: MemoryStore, tmp_path: Path) -> None:
    manifests = [commit(store, tmp_path, step) for step in (100, 200)]
    found = survey_run(store, RUN)
    assert (list(found.whole), found.faults) == (manifests, ())
    assert sum(manifest.size_bytes for manifest in found.whole) == 2020


def test_what_cannot_be_restored_is_named(store: MemoryStore, tmp_path: Path) -> None:
    missing, short, unreadable, foreign, good = (
        commit(store, tmp_path, step) for step in (100, 200, 300, 400, 500)
    )
    store.delete(file_key(missing))
    store.put(file_key(short), b"x" * 999)
    store.put(layout.commit_key(RUN, unreadable.name), b"{")
    key = layout.commit_key(RUN, foreign.name)
    content = foreign.model_copy(update={"base_model_digest": "b"})
    store.put(key, content.dump().encode())
    found = survey_run(store, RUN)
    assert [m.step for m in found.whole] == [good.step]
    assert {fault.kind for fault in found.faults} == {Kind.DAMAGED}
    sentences = {fault.step: fault.sentence for fault in found.faults}
    assert sentences[100] == "adapter_model.safetensors is missing"
    assert sentences[200] == "adapter_model.safetensors has 999 bytes instead of 1,000"
    assert "cannot be read" in sentences[300]
    assert "names another base model than run.json" in sentences[400]
    assert found.faults[0].place == layout.checkpoint_prefix(RUN, missing.name)


def test_a_run_without_its_record_is_named(store: MemoryStore, tmp_path: Path) -> None:
    commit(store, tmp_path, 100)
    store.put(layout.run_json_key(RUN), b"{}")
    store.put("runs/Not A Run/run.json", b"{}")
    found = survey_store(store)
    assert [run.run for run in found.runs] == [RUN]
    assert [fault.kind for fault in found.runs[0].faults] == [Kind.RECORD]
    assert [(fault.kind, fault.place) for fault in found.faults] == [
        (Kind.RECORD, "runs/Not A Run/")
    ]
    assert [m.step for m in found.runs[0].whole] == [100]


def test_files_without_a_commit_are_orphans_once_nobody_can_commit_them(
    store: MemoryStore, tmp_path: Path
) -> None:
    commit(store, tmp_path, 100)
    store.put(f"{layout.checkpoints_prefix(RUN)}{ORPHAN}/adapter", b"x" * 7)
    store.put(f"{layout.checkpoints_prefix(RUN)}notes/mine", b"x")
    assert survey_run(store, RUN).faults == (), "its instance may be uploading it"
    take_claim(store, RUN, "the next")
    found = survey_run(store, RUN)
    assert told(found.faults) == [(Kind.ORPHAN, 900, "7 bytes that were never committed")]
    assert found.faults[0].is_harmless
    assert [orphan.size_bytes for orphan in found.orphans] == [7]


def test_in_an_ended_run_all_that_is_not_committed_is_left_over(
    store: MemoryStore, tmp_path: Path
) -> None:
    store.put(f"{layout.checkpoints_prefix(RUN)}{ORPHAN}/adapter", b"x" * 7)
    end_run(store, result(run=RUN))
    assert [fault.kind for fault in survey_run(store, RUN).faults] == [Kind.ORPHAN]


def test_files_behind_a_tombstone_are_left_over(store: MemoryStore) -> None:
    take_claim(store, RUN, "the next")
    store.put(f"{layout.checkpoints_prefix(RUN)}{ORPHAN}/adapter", b"x")
    store.put(f"{layout.commits_prefix(RUN)}{ORPHAN}.json", b'{"tombstone": true, "by_claim": 2}')
    assert [fault.kind for fault in survey_run(store, RUN).faults] == [Kind.ORPHAN]


@pytest.mark.parametrize("key", [layout.status_key(RUN), layout.result_key(RUN)])
def test_a_heartbeat_or_an_end_that_cannot_be_read_is_a_fault(store: MemoryStore, key: str) -> None:
    store.put(key, b"{")
    (fault,) = survey_run(store, RUN).faults
    assert (fault.kind, fault.place, fault.is_harmless) == (Kind.RECORD, key, False)


class Moving(MemoryStore):
    """The run commits and rotates just after its keys were listed."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.armed = False

    def list(self, prefix: str) -> list[Entry]:
        found = super().list(prefix)
        if self.armed and prefix == layout.run_prefix(RUN):
            self.armed = False
            commit(self, self.folder, 300)
            Committer(self, RUN, 1, keep_last=1, keep_best=False).rotate()
            # A listing takes time: the new manifest is on it, its files came too late for that.
            found += super().list(layout.commits_prefix(RUN))
        return found


def test_what_a_run_commits_and_rotates_meanwhile_is_no_fault(tmp_path: Path) -> None:
    store = Moving(tmp_path)
    begin(store)
    for step in (100, 200):
        commit(store, tmp_path, step)
    store.armed = True
    found = survey_run(store, RUN)
    assert ([m.step for m in found.whole], found.faults) == ([300], ())


class Vanishing(MemoryStore):
    """A rotation removes a checkpoint between two looks at it."""

    def list(self, prefix: str) -> list[Entry]:
        if prefix.startswith(layout.checkpoints_prefix(RUN)):
            for entry in super().list(layout.commits_prefix(RUN)):
                self.delete(entry.key)
        return super().list(prefix)


def test_what_vanishes_between_two_looks_is_no_fault(tmp_path: Path) -> None:
    store = Vanishing()
    begin(store)
    folder = tmp_path / "one"
    folder.mkdir()
    manifest = commit(begin(MemoryStore()), folder, 100)
    store.put(layout.commit_key(RUN, manifest.name), manifest.dump().encode())
    found = survey_run(store, RUN)
    assert (found.whole, found.faults) == ((), ())


def test_unfinished_writes_to_a_directory_are_named(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    begin(store)
    manifest = commit(store, tmp_path, 100)
    torn = store.root / file_key(manifest, f"{TEMPORARY_PREFIX}0123abcd-optimizer.safetensors")
    torn.write_bytes(b"half")
    assert survey_store(store).faults == (), "the instance may be writing it"
    take_claim(store, RUN, "the next")
    (found,) = survey_store(store).faults
    assert (found.kind, found.place, found.run) == (
        Kind.UNFINISHED,
        file_key(manifest, "optimizer.safetensors"),
        RUN,
    )


def test_open_multipart_uploads_are_named(moto_endpoint: str, tmp_path: Path) -> None:
    address = make_bucket(moto_endpoint, f"b{secrets.token_hex(8)}")
    store = begin(S3Store(address))
    take_claim(store, RUN, "the next")
    client = boto3.client("s3", endpoint_url=moto_endpoint)
    keys = [
        f"datasets/{DIGEST}.safetensors",
        f"runs/{RUN}/checkpoints/{ORPHAN}/adapter",
        f"runs/{RUN}/checkpoints/000002-000000900-0123abcd/adapter",
    ]
    for key in [*keys, "probes/20260101T000000Z-0123abcd/parts"]:
        client.create_multipart_upload(Bucket=address.bucket, Key=address.prefix + key)
    found = survey_store(store).faults
    assert {fault.kind for fault in found} == {Kind.UNFINISHED}
    assert [fault.place for fault in found] == keys[:2], "the third may go on"
    assert [fault.run for fault in found] == [None, RUN]


# --- every byte -----------------------------------------------------------------------------------


def test_one_flipped_bit_is_found_by_reading_alone(store: MemoryStore, tmp_path: Path) -> None:
    manifest = commit(store, tmp_path, 100)
    came: list[int] = []
    assert read_checkpoint(store, manifest, came.append) is None
    assert sum(came) == manifest.size_bytes
    data = store.get(file_key(manifest))
    store.put(file_key(manifest), bytes([data[0] ^ 1]) + data[1:])
    assert survey_run(store, RUN).faults == ()
    fault = read_checkpoint(store, manifest)
    assert fault is not None
    assert (fault.kind, fault.step) == (Kind.DAMAGED, 100)
    assert fault.sentence == "adapter_model.safetensors does not match its manifest"


def test_what_is_rotated_away_while_it_is_read_is_no_fault(
    store: MemoryStore, tmp_path: Path
) -> None:
    manifest = commit(store, tmp_path, 100)
    store.delete(file_key(manifest))
    fault = read_checkpoint(store, manifest)
    assert fault is not None
    assert fault.kind is Kind.DAMAGED
    store.delete(layout.commit_key(RUN, manifest.name))
    assert read_checkpoint(store, manifest) is None


class Breaking(MemoryStore):
    """The connection breaks at the first so many reads of a file."""

    breaks = 0

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        if self.breaks:
            self.breaks -= 1
            raise StoreUnreachable("the connection broke")
        yield from super().stream(key, start)


def test_a_broken_connection_is_no_fault_of_the_data(tmp_path: Path) -> None:
    store = Breaking()
    begin(store)
    manifest = commit(store, tmp_path, 100)
    store.breaks = 1
    assert read_checkpoint(store, manifest) is None
    store.breaks = 100
    with pytest.raises(StoreUnreachable):
        read_checkpoint(store, manifest)
