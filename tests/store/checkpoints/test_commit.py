"""The commit protocol: nothing torn, nothing lost, whoever is killed, slow or fenced."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import commit_for_ever
from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.orphans import clean_up_orphans
from fintts_store.checkpoints.restore import is_whole, restore, restore_newest
from fintts_store.errors import (
    CheckpointCorrupt,
    Fenced,
    InvalidRecord,
    StoreError,
    StoreUnreachable,
)
from fintts_store.layout import CommitName
from fintts_store.runs.claims import highest_claim, take_claim
from fintts_store.store import TEMPORARY_PREFIX
from memory_store import BreakingStore, Killed, MemoryStore
from store_verifier import verify

RUN = "tiny"


def facts(step: int, value: float | None = None) -> CheckpointFacts:
    return CheckpointFacts(step, "c" * 64, "b" * 64, "val/loss", "min", value)


def checkpoint(folder: Path, step: int) -> Path:
    """A folder of two files whose bytes tell the step."""
    target = folder / f"checkpoint-{step}"
    target.mkdir(parents=True, exist_ok=True)
    (target / "adapter_model.safetensors").write_bytes(f"adapter {step}".encode() * 100)
    (target / "trainer_state.json").write_text(json.dumps({"step": step}))
    return target


def committer(
    store: MemoryStore | BreakingStore | DirectoryStore, claim: int, keep: int = 2
) -> Committer:
    return Committer(store, RUN, claim, keep_last=keep, keep_best=True)


def steps(store: MemoryStore | DirectoryStore) -> list[int]:
    return [manifest.step for manifest in list_manifests(store, RUN)]


def restored_step(store: MemoryStore | DirectoryStore, target: Path) -> int | None:
    """The step that a resume would go on from, checked against the bytes."""
    skipped: list[CommitName] = []
    manifest = restore_newest(store, RUN, target, lambda name, _: skipped.append(name))
    assert skipped == []
    if manifest is None:
        return None
    assert json.loads((target / "trainer_state.json").read_text())["step"] == manifest.step
    assert (
        target / "adapter_model.safetensors"
    ).read_bytes() == f"adapter {manifest.step}".encode() * 100
    return manifest.step


def test_claims_count_up() -> None:
    store = MemoryStore()
    assert highest_claim(store, RUN) == 0
    assert [take_claim(store, RUN, "me") for _ in range(3)] == [1, 2, 3]
    assert highest_claim(store, RUN) == 3


def test_commit_and_restore(tmp_path: Path) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "me")
    manifest = committer(store, 1).commit(checkpoint(tmp_path, 100), facts(100, 2.5))
    assert manifest == list_manifests(store, RUN)[0]
    restore(store, manifest, tmp_path / "back")
    assert is_whole(manifest, tmp_path / "back")
    (tmp_path / "back" / "adapter_model.safetensors").write_bytes(b"other")
    assert not is_whole(manifest, tmp_path / "back")


def test_a_commit_whose_reply_was_lost_is_a_success(tmp_path: Path) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "me")
    folder, mine = checkpoint(tmp_path, 100), committer(store, 1)
    assert mine.commit(folder, facts(100)) == mine.commit(folder, facts(100))
    assert steps(store) == [100]


def test_a_zombie_is_fenced_and_keeps_its_copy(tmp_path: Path) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "zombie")
    folder = checkpoint(tmp_path, 100)
    take_claim(store, RUN, "newer")
    with pytest.raises(Fenced):
        committer(store, 1).commit(folder, facts(100))
    assert steps(store) == []
    assert (folder / "adapter_model.safetensors").exists()


def test_orphans_are_buried_and_cannot_rise(tmp_path: Path) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "first")
    committed = checkpoint(tmp_path, 100)
    committer(store, 1).commit(committed, facts(100))
    breaking = BreakingStore(store, writes=2)
    with pytest.raises(Killed):
        committer(breaking, 1).commit(checkpoint(tmp_path, 200), facts(200))
    take_claim(store, RUN, "second")
    cleared = clean_up_orphans(store, RUN, 2)
    assert [name.step for name in cleared] == [200]
    assert len(store.list(layout.checkpoints_prefix(RUN))) == 2
    # The zombie had passed its check of the claim already: its commit key is taken.
    assert b"tombstone" in store.get(layout.commit_key(RUN, cleared[0]))
    assert steps(store) == [100]
    assert clean_up_orphans(store, RUN, 2) == []


def test_what_a_kill_left_half_written_goes_too(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    take_claim(store, RUN, "first")
    prefix = layout.checkpoint_prefix(RUN, layout.CommitName(1, 100, "0123abcd"))
    torn = tmp_path / "store" / prefix / f"{TEMPORARY_PREFIX}0000-adapter"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"half")
    take_claim(store, RUN, "second")
    clean_up_orphans(store, RUN, 2)
    assert not torn.parent.exists()


def test_the_newest_claim_goes_before_the_highest_step(tmp_path: Path) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "first")
    committer(store, 1).commit(checkpoint(tmp_path, 900), facts(900))
    take_claim(store, RUN, "second")
    committer(store, 2).commit(checkpoint(tmp_path, 300), facts(300))
    assert restored_step(store, tmp_path / "back") == 300


def test_rotation_keeps_the_last_the_best_and_the_resume_point(tmp_path: Path) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "me")
    mine = committer(store, 1)
    values = {100: 3.0, 200: 1.0, 300: 2.0, 400: 2.5, 500: 2.6, 600: 2.7}
    for step, value in values.items():
        manifest = mine.commit(checkpoint(tmp_path, step), facts(step, value))
        if step == 300:
            mine.resume_point = manifest.id
        mine.rotate()
    assert steps(store) == [200, 300, 500, 600]
    folders = store.folders(layout.checkpoints_prefix(RUN))
    assert len(folders) == 4


def test_a_flipped_bit_falls_back_to_the_older_one_and_says_so(tmp_path: Path) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "me")
    for step in (100, 200):
        committer(store, 1).commit(checkpoint(tmp_path, step), facts(step))
    newest = list_manifests(store, RUN)[-1]
    key = layout.checkpoint_prefix(RUN, newest.name) + "adapter_model.safetensors"
    data = bytearray(store.get(key))
    data[7] ^= 1
    store.put(key, bytes(data))
    said: list[tuple[int, str]] = []
    target = tmp_path / "back"
    manifest = restore_newest(store, RUN, target, lambda m, e: said.append((m.step, e.message)))
    assert manifest is not None
    assert manifest.step == 100
    assert said == [(200, "adapter_model.safetensors of step 200 does not match its manifest")]
    assert sorted(path.name for path in target.iterdir()) == [
        "adapter_model.safetensors",
        "trainer_state.json",
    ]


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/b", "..", "a\\b"])
def test_a_manifest_that_points_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "me")
    manifest = committer(store, 1).commit(checkpoint(tmp_path, 100), facts(100))
    key = layout.commit_key(RUN, manifest.name)
    content = json.loads(store.get(key))
    content["files"][0]["name"] = name
    store.put(key, json.dumps(content).encode())
    with pytest.raises(InvalidRecord):
        list_manifests(store, RUN)


def test_a_manifest_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "me")
    manifest = committer(store, 1).commit(checkpoint(tmp_path, 100), facts(100))
    newer = manifest.model_copy(update={"version": 2})
    store.put(layout.commit_key(RUN, manifest.name), newer.dump().encode())
    with pytest.raises(InvalidRecord, match="version 2") as refused:
        list_manifests(store, RUN)
    assert refused.value.hint == "update fintts"


def test_a_link_in_a_checkpoint_is_refused(tmp_path: Path) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "me")
    folder = checkpoint(tmp_path, 100)
    (folder / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(CheckpointCorrupt, match="passwd"):
        committer(store, 1).commit(folder, facts(100))


class LosingStore(MemoryStore):
    """Answers that a file was stored, and drops its last byte."""

    def put(self, key: str, source: bytes | Path) -> None:
        data = source if isinstance(source, bytes) else source.read_bytes()
        super().put(key, data[:-1])


def test_an_upload_that_did_not_arrive_whole_is_not_committed(tmp_path: Path) -> None:
    store = LosingStore()
    take_claim(store, RUN, "me")
    with pytest.raises(StoreUnreachable, match="did not arrive completely"):
        committer(store, 1).commit(checkpoint(tmp_path, 100), facts(100))
    assert steps(store) == []


def run_until_killed(store: MemoryStore, writes: int, folder: Path, claim: int) -> int:
    """Commits and rotates until the writes are used up; returns the last reported step."""
    reported = 0
    breaking = BreakingStore(store, writes)
    mine = committer(breaking, claim)
    try:
        for step in range(100, 700, 100):
            mine.commit(checkpoint(folder, step), facts(step, value=float(abs(step - 300))))
            reported = step
            mine.rotate()
    except Killed:
        pass
    return reported


@pytest.mark.parametrize("writes", range(31))
def test_killed_between_any_two_writes(tmp_path: Path, writes: int) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "first")
    reported = run_until_killed(store, writes, tmp_path, claim=1)
    found = restored_step(store, tmp_path / "back")
    assert (found or 0) in (reported, reported + 100), "a landed commit may be one ahead"
    claim = take_claim(store, RUN, "second")
    clean_up_orphans(store, RUN, claim)
    assert restored_step(store, tmp_path / "back") == found
    if found is not None and found >= 300:
        assert 300 in steps(store), "the best stays"


def test_sigkill_at_random_moments_loses_nothing(tmp_path: Path) -> None:
    """A real process, a real disk: 0 torn, 0 older than reported, never nothing."""
    root, moments = tmp_path / "store", random.Random(4)
    script = Path(__file__).parents[2] / "support" / "commit_for_ever.py"
    last = 0
    for _ in range(15):
        with subprocess.Popen(
            [sys.executable, str(script), str(root), str(tmp_path), str(10**6)],
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            lines = moments.randrange(1, 12)
            for _, line in zip(range(lines), child.stdout, strict=False):
                last = max(last, int(line))
            time.sleep(moments.uniform(0, 0.02))
            child.kill()
            last = max([last, *map(int, child.stdout.read().split())])
        keys = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        found = verify(keys, lambda key: (root / key).read_bytes(), commit_for_ever.RUN)
        assert found[-1].step >= last
    # The last 3, the best, the resume point, and one that the kill left unrotated.
    assert len(found) <= 6


def test_errors_have_sentences(tmp_path: Path) -> None:
    store = MemoryStore()
    take_claim(store, RUN, "zombie")
    take_claim(store, RUN, "newer")
    with pytest.raises(StoreError) as fenced:
        committer(store, 1).commit(checkpoint(tmp_path, 100), facts(100))
    assert fenced.value.hint
    assert not fenced.value.message.endswith(".")
