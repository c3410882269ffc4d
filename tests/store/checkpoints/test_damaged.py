"""Records that were damaged, moved or tampered with: the good ones beside them stay usable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.manifest import Manifest, load_commit
from fintts_store.checkpoints.orphans import clean_up_orphans
from fintts_store.checkpoints.restore import is_whole, restore, restore_newest
from fintts_store.errors import (
    CheckpointCorrupt,
    InvalidRecord,
    NewerRecord,
    StoreError,
    StoreUnreachable,
)
from fintts_store.layout import CommitName
from fintts_store.runs.claims import highest_claim, take_claim
from fintts_store.runs.run_record import FileRef
from fintts_store.store import TEMPORARY_PREFIX
from memory_store import MemoryStore

RUN = "tiny"


def committer(store: MemoryStore, claim: int = 1, keep_last: int = 5) -> Committer:
    return Committer(store, RUN, claim, keep_last=keep_last, keep_best=False)


def commit(store: MemoryStore, folder: Path, step: int, claim: int = 1) -> Manifest:
    target = folder / f"checkpoint-{step}"
    target.mkdir(exist_ok=True)
    (target / "adapter_model.safetensors").write_bytes(f"adapter {step}".encode() * 100)
    facts = CheckpointFacts(step, "c", "b", "val/loss", "min", None)
    return committer(store, claim).commit(target, facts)


class Skipped(list[int]):
    """The steps that a restore passed over."""

    def __call__(self, name: CommitName, error: StoreError) -> None:
        assert error.message
        self.append(name.step)


def steps(manifests: list[Manifest]) -> list[int]:
    return [manifest.step for manifest in manifests]


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    take_claim(store, RUN, "me")
    return store


def change(store: MemoryStore, manifest: Manifest, **fields: object) -> str:
    """Changes fields of a manifest where it lies; returns its key."""
    key = layout.commit_key(RUN, manifest.name)
    content = json.loads(store.get(key))
    content.pop("self_sha256", None)
    store.put(key, json.dumps({**content, **fields}).encode())
    return key


def test_a_manifest_that_is_not_what_was_written_is_damaged(
    store: MemoryStore, tmp_path: Path
) -> None:
    commit(store, tmp_path, 100)
    manifest = commit(store, tmp_path, 200)
    key = layout.commit_key(RUN, manifest.name)
    whole, digest = store.get(key), manifest.files[0].sha256.encode()
    for changed in (
        whole.replace(b'"value":null', b'"value":0.001'),
        whole.replace(digest, digest[::-1]),
        whole.replace(b'"mode":"min"', b'"mode":"max"'),
        whole[:-3] + b'"}',
        json.dumps(json.loads(whole)).encode(),
    ):
        assert changed != whole
        store.put(key, changed)
        told = Skipped()
        assert steps(list_manifests(store, RUN, on_unreadable=told)) == [100]
        assert told == [200]
    store.put(key, whole)
    assert steps(list_manifests(store, RUN)) == [100, 200]


def test_a_manifest_without_its_own_digest_is_of_an_older_version(
    store: MemoryStore, tmp_path: Path
) -> None:
    manifest = commit(store, tmp_path, 100)
    store.put(layout.commit_key(RUN, manifest.name), manifest.model_dump_json().encode())
    assert list_manifests(store, RUN) == [manifest]


def test_a_damaged_manifest_falls_back_to_the_older_one(store: MemoryStore, tmp_path: Path) -> None:
    commit(store, tmp_path, 100)
    key = layout.commit_key(RUN, commit(store, tmp_path, 200).name)
    store.put(key, store.get(key)[:-5])
    skipped = Skipped()
    manifest = restore_newest(store, RUN, tmp_path / "back", skipped)
    assert manifest is not None
    assert (manifest.step, skipped) == (100, [200])
    with pytest.raises(InvalidRecord, match="000000200"):
        list_manifests(store, RUN)
    told = Skipped()
    assert steps(list_manifests(store, RUN, on_unreadable=told)) == [100]
    assert told == [200]


def test_rotation_goes_on_beside_a_damaged_manifest_and_says_so(
    store: MemoryStore, tmp_path: Path
) -> None:
    key = layout.commit_key(RUN, commit(store, tmp_path, 100).name)
    store.put(key, b"{")
    for step in (200, 300):
        commit(store, tmp_path, step)
    with pytest.raises(InvalidRecord, match="000000100"):
        committer(store, keep_last=1).rotate()
    assert steps(list_manifests(store, RUN, on_unreadable=Skipped())) == [300]
    assert store.get(key) == b"{"
    assert len(store.folders(layout.checkpoints_prefix(RUN))) == 2


def test_orphans_beside_a_damaged_manifest_are_left(store: MemoryStore, tmp_path: Path) -> None:
    key = layout.commit_key(RUN, commit(store, tmp_path, 100).name)
    store.put(key, b"{")
    assert clean_up_orphans(store, RUN, 2) == []
    assert len(store.list(layout.checkpoints_prefix(RUN))) == 1


def test_a_newer_programs_checkpoint_is_not_passed_over(store: MemoryStore, tmp_path: Path) -> None:
    """It is sound: going on from an older one would throw its steps away."""
    commit(store, tmp_path, 100)
    key = layout.commit_key(RUN, commit(store, tmp_path, 200).name)
    store.put(key, b'{"version": 2, "in": "another shape"}')
    with pytest.raises(NewerRecord, match="version 2") as refused:
        restore_newest(store, RUN, tmp_path / "back", Skipped())
    assert refused.value.hint == "update fintts"


@pytest.mark.parametrize(
    "fields", [{"run": "other"}, {"claim": 7}, {"step": 900}, {"id": "00000000"}]
)
def test_the_manifest_of_another_checkpoint_is_refused(
    store: MemoryStore, tmp_path: Path, fields: dict[str, object]
) -> None:
    change(store, commit(store, tmp_path, 100), **fields)
    with pytest.raises(InvalidRecord, match="another checkpoint"):
        list_manifests(store, RUN)


def test_a_manifest_without_files_or_with_one_twice_is_refused(
    store: MemoryStore, tmp_path: Path
) -> None:
    manifest = commit(store, tmp_path, 100)
    twice = [file.model_dump() for file in manifest.files] * 2
    for files in ([], twice):
        change(store, manifest, files=files)
        with pytest.raises(InvalidRecord, match="files"):
            list_manifests(store, RUN)


def test_a_tombstone_is_one_however_it_is_spaced() -> None:
    assert load_commit(b'{"tombstone": true, "by_claim": 2}', "x") is None
    assert load_commit(b'{\n "by_claim": 2,\n "tombstone":\ttrue}', "x") is None


def test_words_in_a_manifest_do_not_make_it_a_tombstone(store: MemoryStore, tmp_path: Path) -> None:
    key = change(store, commit(store, tmp_path, 100), note={"tombstone": True})
    store.put(key, store.get(key).replace(b'": ', b'":'))
    assert steps(list_manifests(store, RUN)) == [100]


def test_files_put_by_hand_are_nobodys_claim_or_commit(store: MemoryStore, tmp_path: Path) -> None:
    commit(store, tmp_path, 100)
    for prefix in (layout.claims_prefix(RUN), layout.commits_prefix(RUN)):
        store.put(f"{prefix}.DS_Store", b"x")
    assert highest_claim(store, RUN) == 1
    assert take_claim(store, RUN, "next") == 2
    assert steps(list_manifests(store, RUN)) == [100]


@pytest.mark.parametrize("name", ["../../root/.profile", "/etc/passwd", "a/b", "..", "a\\b"])
def test_a_base_models_file_stays_in_its_folder(name: str) -> None:
    text = json.dumps({"name": name, "size_bytes": 1, "sha256": "0" * 64})
    with pytest.raises(InvalidRecord, match="is not the name of a file"):
        FileRef.load(text)


class EndlessStore(MemoryStore):
    """Answers with more and more bytes."""

    chunks = 0

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        while self.chunks < 1000:
            self.chunks += 1
            yield bytes(500)


def test_no_more_is_fetched_than_the_manifest_names(tmp_path: Path) -> None:
    store = EndlessStore()
    take_claim(store, RUN, "me")
    manifest = commit(store, tmp_path, 100)
    with pytest.raises(CheckpointCorrupt):
        restore(store, manifest, tmp_path / "back")
    assert store.chunks <= 2 * (manifest.size_bytes // 500 + 1)


class CuttingStore(MemoryStore):
    """Breaks the first so many reads off after the first bytes."""

    cuts = 0

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        if self.cuts:
            self.cuts -= 1
            yield self.get(key)[start : start + 3]
            raise StoreUnreachable("the connection was cut")
        yield from super().stream(key, start)


def test_a_read_that_was_cut_is_tried_again(tmp_path: Path) -> None:
    store = CuttingStore()
    take_claim(store, RUN, "me")
    manifest = commit(store, tmp_path, 100)
    store.cuts = 1
    restore(store, manifest, tmp_path / "back")
    assert is_whole(manifest, tmp_path / "back")


def test_a_store_that_is_down_is_no_reason_for_an_older_one(tmp_path: Path) -> None:
    store = CuttingStore()
    take_claim(store, RUN, "me")
    for step in (100, 200):
        commit(store, tmp_path, step)
    store.cuts = 2
    skipped = Skipped()
    with pytest.raises(StoreUnreachable):
        restore_newest(store, RUN, tmp_path / "new", skipped)
    assert skipped == []
    assert not (tmp_path / "new").exists()


class OvertakenStore(MemoryStore):
    """Another instance commits a newer checkpoint and rotates just as the first read begins."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.armed = False

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        if self.armed:
            self.armed = False
            commit(self, self.folder, 300)
            committer(self, keep_last=1).rotate()
        yield from super().stream(key, start)


def test_what_is_rotated_away_meanwhile_gives_way_to_the_newer(tmp_path: Path) -> None:
    store = OvertakenStore(tmp_path)
    take_claim(store, RUN, "me")
    for step in (100, 200):
        commit(store, tmp_path, step)
    store.armed = True
    skipped = Skipped()
    manifest = restore_newest(store, RUN, tmp_path / "back", skipped)
    assert manifest is not None
    assert (manifest.step, skipped) == (300, [200])


def test_a_fenced_claim_rotates_nothing_away(store: MemoryStore, tmp_path: Path) -> None:
    commit(store, tmp_path, 100)
    zombie = committer(store, keep_last=1)
    take_claim(store, RUN, "newer")
    for step in (200, 300):
        commit(store, tmp_path, step, claim=2)
    assert steps(zombie.rotate()) == []
    assert steps(list_manifests(store, RUN)) == [100, 200, 300], "one of which it may go on from"


def test_a_checkpoint_that_vanished_is_one_sentence(store: MemoryStore, tmp_path: Path) -> None:
    facts = CheckpointFacts(100, "c", "b", "val/loss", "min", None)
    with pytest.raises(CheckpointCorrupt, match="is gone"):
        committer(store).commit(tmp_path / "nothing", facts)


def test_half_written_manifests_and_metrics_of_a_killed_instance_go(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for prefix in (layout.commits_prefix(RUN), layout.metrics_prefix(RUN)):
        store.put(f"{prefix}whole", b"x")
        (tmp_path / prefix / f"{TEMPORARY_PREFIX}00000000-torn").write_bytes(b"half")
    clean_up_orphans(store, RUN, 2)
    names = [path.name for path in (tmp_path / layout.RUNS).rglob("*") if path.is_file()]
    assert names == ["whole", "whole"]
