"""A run begins again at step 0 only if two looks agree that it has no checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.going_on import restore_to_go_on
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.errors import (
    CheckpointCorrupt,
    Fenced,
    InvalidRecord,
    KeyNotFound,
    StoreError,
    StoreUnreachable,
)
from fintts_store.layout import CommitName
from fintts_store.runs.claims import highest_claim, strange_claims, take_claim
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.store import Store
from fintts_store.upkeep.survey import survey_run
from lying_store import LyingStore
from memory_store import MemoryStore

RUN = "tiny"


def commit(store: Store, folder: Path, step: int, claim: int = 1) -> Manifest:
    target = folder / f"checkpoint-{step}"
    target.mkdir(exist_ok=True, parents=True)
    (target / "adapter_model.safetensors").write_bytes(f"adapter {step}".encode() * 100)
    facts = CheckpointFacts(step, "c", "b", "val/loss", "min", None)
    return Committer(store, RUN, claim, keep_last=5, keep_best=False).commit(target, facts)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with a run that has committed step 33, and whose second claim has been taken."""
    store = DirectoryStore(tmp_path / "store")
    take_claim(store, RUN, "first")
    commit(store, tmp_path / "work", 33)
    assert take_claim(store, RUN, "second") == 2
    return store.root


def go_on(store: Store, folder: Path, claim: int = 2, **more: int) -> int | None:
    def skip(_name: CommitName, error: StoreError) -> None:
        assert error.message

    found = restore_to_go_on(
        store,
        RUN,
        claim,
        folder / "resumed",
        skip,
        patience_seconds=0.6,
        committed_step=more.get("committed_step"),
    )
    return None if found is None else found.step


Hides = Callable[[str], bool]
LIES: dict[str, Hides] = {
    "of commits": lambda prefix: prefix == layout.commits_prefix(RUN),
    "of commits and claims": lambda prefix: "/checkpoints/" not in prefix,
    "of everything": lambda _prefix: True,
}


@pytest.mark.parametrize("lie", LIES)
def test_an_empty_listing_is_asked_for_again(root: Path, tmp_path: Path, lie: str) -> None:
    store = LyingStore(root, LIES[lie], times=1)
    assert go_on(store, tmp_path) == 33
    assert store.lies == 1


@pytest.mark.parametrize("lie", LIES)
def test_a_store_that_goes_on_lying_ends_the_run(root: Path, tmp_path: Path, lie: str) -> None:
    store = LyingStore(root, LIES[lie])
    with pytest.raises(StoreUnreachable) as refused:
        go_on(store, tmp_path)
    assert RUN in refused.value.message
    assert refused.value.hint


def test_what_the_last_heartbeat_said_counts_too(root: Path, tmp_path: Path) -> None:
    """Both listings of checkpoints are empty, and that of claims is not."""
    store = LyingStore(root, lambda prefix: "/claims/" not in prefix)
    with pytest.raises(StoreUnreachable, match="committed step 33"):
        go_on(store, tmp_path, committed_step=33)


def test_a_run_without_a_checkpoint_begins(tmp_path: Path) -> None:
    store = MemoryStore()
    assert take_claim(store, RUN, "first") == 1
    assert go_on(store, tmp_path, claim=1) is None
    assert take_claim(store, RUN, "second") == 2
    assert go_on(store, tmp_path) is None


def test_who_was_taken_over_does_not_begin(tmp_path: Path) -> None:
    store = MemoryStore()
    for _ in range(3):
        take_claim(store, RUN, "me")
    with pytest.raises(Fenced):
        go_on(store, tmp_path)


class Forgetful(MemoryStore):
    """Lists what it does not give."""

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        if "/claims/" in key:
            raise KeyNotFound("404")
        return super().get(key, limit_bytes)


def test_a_claim_that_is_listed_and_not_there_is_a_contradiction(tmp_path: Path) -> None:
    store = Forgetful()
    take_claim(store, RUN, "me")
    with pytest.raises(StoreUnreachable, match="lost claim 1"):
        go_on(store, tmp_path, claim=1)


def test_checkpoints_that_are_all_damaged_end_the_run(root: Path, tmp_path: Path) -> None:
    """To begin again would cost the whole run, and nobody has asked for it."""
    store = DirectoryStore(root)
    (manifest,) = list_manifests(store, RUN)
    store.put(layout.checkpoint_prefix(RUN, manifest.name) + "adapter_model.safetensors", b"other")
    with pytest.raises(CheckpointCorrupt, match="step 33"):
        go_on(store, tmp_path)


def test_a_claim_below_one_s_own_is_no_takeover(root: Path, tmp_path: Path) -> None:
    lying = LyingStore(root, lambda prefix: "/claims/" in prefix, times=1)
    with pytest.raises(StoreUnreachable, match="does not list claim 2"):
        commit(lying, tmp_path / "work", 40, claim=2)
    assert commit(lying, tmp_path / "work", 40, claim=2).step == 40


def test_a_listing_that_hides_claims_gives_no_claim_twice(root: Path) -> None:
    lying = LyingStore(root, lambda prefix: "/claims/" in prefix)
    assert take_claim(lying, RUN, "third") == 3


@pytest.mark.parametrize("planted", [999_999, 500])
def test_a_claim_that_nobody_can_have_taken_hides_nothing(
    root: Path, tmp_path: Path, planted: int
) -> None:
    store = DirectoryStore(root)
    store.put(layout.claim_key(RUN, planted), b"planted")
    assert highest_claim(store, RUN) == 2
    assert commit(store, tmp_path / "work", 40, claim=2).step == 40
    assert take_claim(store, RUN, "third") == 3
    assert strange_claims(RUN, [layout.claim_key(RUN, planted)]) == [layout.claim_key(RUN, planted)]
    places = [fault.place for fault in survey_run(store, RUN).faults]
    assert layout.claim_key(RUN, planted) in places


def test_claims_count_though_some_before_them_were_deleted(root: Path) -> None:
    store = DirectoryStore(root)
    for claim in (1, 2):
        store.delete(layout.claim_key(RUN, claim))
    store.put(layout.claim_key(RUN, 50), b"{}")
    assert highest_claim(store, RUN) == 50


def test_a_commit_of_a_claim_that_nobody_has_taken_is_not_gone_on_from(
    root: Path, tmp_path: Path
) -> None:
    store = DirectoryStore(root)
    (manifest,) = list_manifests(store, RUN)
    planted = manifest.model_copy(update={"claim": 999_999, "step": 9})
    prefix = layout.checkpoint_prefix(RUN, planted.name)
    store.put(prefix + "adapter_model.safetensors", b"adapter 33" * 100)
    store.put(layout.commit_key(RUN, planted.name), planted.dump().encode())
    assert go_on(store, tmp_path) == 33
    committer = Committer(store, RUN, 2, keep_last=1, keep_best=False)
    assert committer.rotate() == [], "nor does it push others out"


class Flipping(MemoryStore):
    """The first answer for a manifest is wrong in a bit, or is a 404."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how, self.spoilt = how, list[str]()

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        content = super().get(key, limit_bytes)
        if self._how not in key and not key.endswith(".json"):
            return content
        if key in self.spoilt:
            return content
        self.spoilt.append(key)
        return self._spoil(content)

    def _spoil(self, content: bytes) -> bytes:
        if self._how == "404":
            raise KeyNotFound("404")
        if self._how == "bit":
            return bytes([content[0] ^ 1]) + content[1:]
        digest: str = json.loads(content)["files"][0]["sha256"]
        other = ("0" if digest[0] != "0" else "1") + digest[1:]
        return content.replace(digest.encode(), other.encode())


@pytest.mark.parametrize("how", ["404", "bit", "digest"])
def test_damage_on_the_way_down_that_a_second_try_mends(tmp_path: Path, how: str) -> None:
    store = Flipping(how)
    take_claim(store, RUN, "me")
    commit(store, tmp_path, 100)
    commit(store, tmp_path, 200)
    assert go_on(store, tmp_path, claim=1) == 200
    assert store.spoilt
    if how != "digest":
        store.spoilt.clear()
        assert [manifest.step for manifest in list_manifests(store, RUN)] == [100, 200]


def test_a_file_that_is_missed_once_is_asked_for_again(tmp_path: Path) -> None:
    store = Flipping("404")
    take_claim(store, RUN, "me")
    commit(store, tmp_path, 100)
    manifest = commit(store, tmp_path, 200)
    store.spoilt += [layout.commit_key(RUN, manifest.name)]
    assert go_on(store, tmp_path, claim=1) == 200


def test_a_manifest_that_is_damaged_twice_is_damaged(root: Path) -> None:
    store = DirectoryStore(root)
    (manifest,) = list_manifests(store, RUN)
    store.put(layout.commit_key(RUN, manifest.name), b"{")
    with pytest.raises(InvalidRecord):
        list_manifests(store, RUN)
