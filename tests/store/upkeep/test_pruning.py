"""Pins and pruning: what is to be kept stays, whoever removes at the same moment."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fault_proxy import fault_proxy
from fintts_store import layout
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.removal import list_pins, remove_checkpoint
from fintts_store.checkpoints.restore import is_whole, restore
from fintts_store.checkpoints.retention import Rule
from fintts_store.errors import CheckpointCorrupt, KeyNotFound
from fintts_store.runs.claims import take_claim
from fintts_store.runs.end_run import end_run
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.runs.runs import create_run, write_status
from fintts_store.store import Entry, Store
from fintts_store.upkeep.pruning import PrunePlan, pin, plan_prune, prune, unpin
from memory_store import MemoryStore
from run_samples import DIGEST, record, result, status
from s3_servers import make_bucket

RUN = "tiny"
VALUES = {100: 3.0, 200: 1.0, 300: 2.0, 400: 2.5, 500: 2.6, 600: 2.7}
TWO = Rule(keep_last=2, keep_best=True)


def save(store: Store, folder: Path, step: int, claim: int = 1) -> Manifest:
    target = folder / f"checkpoint-{claim}-{step}"
    target.mkdir(exist_ok=True)
    (target / "adapter_model.safetensors").write_bytes(b"%d %d" % (claim, step))
    (target / "trainer_state.json").write_bytes(b"x")
    facts = CheckpointFacts(step, "c", DIGEST, "val/loss", "min", VALUES[step])
    return committer(store, claim, keep_last=9).commit(target, facts)


def committer(store: Store, claim: int = 1, keep_last: int = 2) -> Committer:
    return Committer(store, RUN, claim, keep_last=keep_last, keep_best=True)


def begin(store: Store) -> None:
    create_run(store, record(run=RUN))
    take_claim(store, RUN, "me")


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    store = MemoryStore()
    begin(store)
    for step in VALUES:
        save(store, tmp_path, step)
    return store


def steps(store: Store) -> list[int]:
    return [manifest.step for manifest in list_manifests(store, RUN)]


def of_step(store: Store, step: int) -> Manifest:
    (manifest,) = [m for m in list_manifests(store, RUN) if m.step == step]
    return manifest


def removed_steps(plan: PrunePlan) -> list[int]:
    return [manifest.step for manifest in plan.remove]


# --- pins -----------------------------------------------------------------------------------------


def test_the_run_s_own_rotation_leaves_a_pinned_one(store: MemoryStore, tmp_path: Path) -> None:
    pin(store, RUN, 100)
    committer(store).rotate()
    assert steps(store) == [100, 200, 500, 600]
    restore(store, of_step(store, 100), tmp_path / "back")
    assert is_whole(of_step(store, 100), tmp_path / "back")
    assert unpin(store, RUN, 100)
    assert not unpin(store, RUN, 100)
    committer(store).rotate()
    assert steps(store) == [200, 500, 600]


class Watched(MemoryStore):
    """Remembers what was deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[str] = []

    def delete(self, key: str) -> None:
        self.deleted.append(key)
        super().delete(key)


def test_a_pinned_manifest_is_not_even_touched(tmp_path: Path) -> None:
    """Whoever is killed between deleting and putting it back would lose it."""
    store = Watched()
    begin(store)
    for step in VALUES:
        save(store, tmp_path, step)
    plan = plan_prune(store, RUN, TWO)
    pin(store, RUN, 100)
    prune(store, plan)
    committer(store, keep_last=1).rotate()
    assert len(store.deleted) > 3
    assert layout.commit_key(RUN, of_step(store, 100).name) not in store.deleted


def test_a_pin_takes_no_place_among_the_last(store: MemoryStore) -> None:
    pin(store, RUN, 600)
    committer(store).rotate()
    assert steps(store) == [200, 500, 600]


def test_pinning_twice_is_pinning_once(store: MemoryStore) -> None:
    assert pin(store, RUN, 100) == pin(store, RUN, 100)
    assert {name.step for name in list_pins(store, RUN)} == {100}


def test_of_a_step_under_two_claims_the_newer_is_pinned(tmp_path: Path) -> None:
    store = MemoryStore()
    begin(store)
    save(store, tmp_path, 100)
    take_claim(store, RUN, "the next")
    save(store, tmp_path, 100, claim=2)
    assert pin(store, RUN, 100).claim == 2


def test_what_is_not_there_or_not_whole_is_not_pinned(store: MemoryStore) -> None:
    with pytest.raises(KeyNotFound, match="no checkpoint of step 700"):
        pin(store, RUN, 700)
    store.delete(layout.checkpoint_prefix(RUN, of_step(store, 100).name) + "trainer_state.json")
    with pytest.raises(CheckpointCorrupt, match=r"trainer_state\.json is missing"):
        pin(store, RUN, 100)
    assert list_pins(store, RUN) == frozenset()


class Turns:
    """Lets several actors do one thing to a store each in a given order."""

    def __init__(self, order: list[int]) -> None:
        self._order = order
        self._changed = threading.Condition()
        self._gone: set[int] = set()

    def take(self, actor: int, act: Callable[[], object]) -> object:
        with self._changed:
            self._changed.wait_for(lambda: self._next() in (actor, None), timeout=10)
            if self._order and self._order[0] == actor:
                self._order.pop(0)
            try:
                return act()
            finally:
                self._changed.notify_all()

    def leave(self, actor: int) -> None:
        with self._changed:
            self._gone.add(actor)
            self._changed.notify_all()

    def _next(self) -> int | None:
        while self._order and self._order[0] in self._gone:
            self._order.pop(0)
        return self._order[0] if self._order else None


class Actor(MemoryStore):
    """One actor's view of a shared store."""

    def __init__(self, shared: MemoryStore, turns: Turns, number: int) -> None:
        super().__init__()
        self._shared, self._turns, self._number = shared, turns, number

    def create(self, key: str, data: bytes) -> None:
        self._turns.take(self._number, lambda: self._shared.create(key, data))

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        found = self._turns.take(self._number, lambda: self._shared.get(key, limit_bytes))
        assert isinstance(found, bytes)
        return found

    def list(self, prefix: str) -> list[Entry]:
        found = self._turns.take(self._number, lambda: self._shared.list(prefix))
        assert isinstance(found, list)
        return found

    def delete(self, key: str) -> None:
        self._turns.take(self._number, lambda: self._shared.delete(key))


def test_pinning_and_removing_meet_in_every_order(tmp_path: Path) -> None:
    """Either it is pinned and whole, or the one who pins is told that it is gone."""
    outcomes: set[tuple[bool, bool]] = set()
    requests = 6
    for places in itertools.combinations(range(2 * requests), requests):
        store = MemoryStore()
        begin(store)
        manifest = save(store, tmp_path, 100)
        order = [0 if place in places else 1 for place in range(2 * requests)]
        outcomes.add(meet(store, Turns(order), manifest))
    assert outcomes == {(True, False), (False, True), (False, False)}


def meet(store: MemoryStore, turns: Turns, manifest: Manifest) -> tuple[bool, bool]:
    """Whether it was pinned, and whether it was removed."""
    removed: list[bool] = []

    def remove() -> None:
        removed.append(remove_checkpoint(Actor(store, turns, 1), manifest))
        turns.leave(1)

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        pin(Actor(store, turns, 0), RUN, 100)
        is_pinned = True
    except KeyNotFound:
        is_pinned = False
    turns.leave(0)
    thread.join()
    keys = {entry.key for entry in store.list("")}
    prefix = layout.checkpoint_prefix(RUN, manifest.name)
    whole = {
        layout.commit_key(RUN, manifest.name),
        f"{prefix}adapter_model.safetensors",
        f"{prefix}trainer_state.json",
    }
    pins = {layout.pin_key(RUN, manifest.name)}
    if is_pinned:
        assert whole | pins <= keys
    if removed[0]:
        assert not (whole | pins) & keys
    if not is_pinned:
        assert not pins & keys
    return is_pinned, removed[0]


def test_pins_cost_a_rotation_one_request_for_each_removed(
    moto_endpoint: str, tmp_path: Path
) -> None:
    address = make_bucket(moto_endpoint, "pins-cost-little")
    begin(S3Store(address))
    with fault_proxy(moto_endpoint) as proxy:
        store = S3Store(replace(address, endpoint_url=proxy.url))
        for step in (100, 200, 300):
            save(store, tmp_path, step)
        mine = Committer(store, RUN, 1, keep_last=1, keep_best=False)
        mine.rotate()
        save(store, tmp_path, 400)
        proxy.requests.clear()
        mine.rotate()
    methods = [request.split()[0] for request in proxy.requests]
    # Claims; manifests and pins in one listing; the new manifest; the pin of the old one, twice
    # because a single 404 may be damage on the way; the old one's files.
    assert (methods.count("GET"), methods.count("DELETE"), len(methods)) == (6, 3, 9)


# --- pruning --------------------------------------------------------------------------------------


def test_the_last_the_best_and_the_pinned_stay(store: MemoryStore) -> None:
    pin(store, RUN, 300)
    plan = plan_prune(store, RUN, TWO)
    assert steps(store) == list(VALUES), "nothing is removed by looking"
    assert removed_steps(plan) == [100, 400]
    assert plan.removed_bytes == sum(m.size_bytes for m in plan.remove) > 0
    assert [name.step for name in prune(store, plan)] == [100, 400]
    assert steps(store) == [200, 300, 500, 600]
    assert len(store.folders(layout.checkpoints_prefix(RUN))) == 4
    assert plan_prune(store, RUN, TWO).is_empty


def test_the_resume_point_stays(store: MemoryStore, tmp_path: Path) -> None:
    claim = take_claim(store, RUN, "the next")
    for step in (400, 500, 600):
        save(store, tmp_path, step, claim)
    plan = plan_prune(store, RUN, TWO)
    reasons = {(k.manifest.claim, k.manifest.step): k.reasons for k in plan.keep}
    assert reasons[1, 600] == ("resume point",), "the newest that was there before the claim"
    told = of_step(store, 100)
    write_status(store, status(run=RUN, claim=claim, resume_point=told.id))
    plan = plan_prune(store, RUN, TWO)
    reasons = {(k.manifest.claim, k.manifest.step): k.reasons for k in plan.keep}
    assert reasons[1, 100] == ("resume point",), "or that which the run says it went on from"
    store.put(layout.status_key(RUN), b"{")
    assert not plan_prune(store, RUN, TWO).is_empty


def test_what_is_not_whole_neither_counts_nor_goes(store: MemoryStore) -> None:
    torn = of_step(store, 600)
    store.delete(layout.checkpoint_prefix(RUN, torn.name) + "adapter_model.safetensors")
    unreadable = layout.commit_key(RUN, of_step(store, 500).name)
    store.put(unreadable, b"{")
    plan = plan_prune(store, RUN, TWO)
    assert {fault.step for fault in plan.damaged} == {500, 600}
    assert [kept.manifest.step for kept in plan.keep] == [200, 300, 400]
    assert [name.step for name in prune(store, plan)] == [100]
    assert store.get(unreadable) == b"{"
    assert store.list(layout.checkpoint_prefix(RUN, torn.name))


def test_only_what_was_shown_goes_and_only_if_it_still_may(
    store: MemoryStore, tmp_path: Path
) -> None:
    """Between showing and yes the run goes on, somebody pins, and somebody prunes."""
    plan = plan_prune(store, RUN, TWO)
    assert removed_steps(plan) == [100, 300, 400]
    pin(store, RUN, 300)
    VALUES[700] = 9.0
    save(store, tmp_path, 700)
    del VALUES[700]
    remove_checkpoint(store, of_step(store, 400))
    assert [name.step for name in prune(store, plan)] == [100]
    assert steps(store) == [200, 300, 500, 600, 700], "500 is no longer among the last, yet stays"


def test_two_prune_at_once(store: MemoryStore) -> None:
    plans = [plan_prune(store, RUN, TWO) for _ in range(2)]
    threads = [threading.Thread(target=prune, args=(store, plan)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert steps(store) == [200, 500, 600]
    assert len(store.folders(layout.checkpoints_prefix(RUN))) == 3


@pytest.fixture
def orphans(store: MemoryStore) -> list[str]:
    """Files of claims 1 and 2 that were never committed; 2 is the highest."""
    take_claim(store, RUN, "the next")
    folders = [f"{claim:06d}-000000900-0123abcd" for claim in (1, 2)]
    for folder in folders:
        store.put(f"{layout.checkpoints_prefix(RUN)}{folder}/adapter", b"x" * 7)
    return folders


def test_of_a_run_that_goes_on_only_the_orphans_of_earlier_claims_go(
    store: MemoryStore, orphans: list[str]
) -> None:
    plan = plan_prune(store, RUN, Rule(keep_last=9, keep_best=True))
    assert ([o.name.text for o in plan.orphans], plan.removed_bytes) == (orphans[:1], 7)
    assert [name.text for name in prune(store, plan)] == orphans[:1]
    folders = store.folders(layout.checkpoints_prefix(RUN))
    assert orphans[0] not in folders
    assert orphans[1] in folders
    assert b"tombstone" in store.get(f"{layout.commits_prefix(RUN)}{orphans[0]}.json")


def test_of_an_ended_run_all_orphans_go(store: MemoryStore, orphans: list[str]) -> None:
    end_run(store, result(run=RUN))
    plan = plan_prune(store, RUN, Rule(keep_last=9, keep_best=True))
    assert [name.text for name in prune(store, plan)] == orphans
    assert steps(store) == list(VALUES)


def test_an_orphan_that_was_committed_meanwhile_stays(store: MemoryStore, tmp_path: Path) -> None:
    manifest = of_step(store, 600)
    key = layout.commit_key(RUN, manifest.name)
    text = store.get(key)
    store.delete(key)
    end_run(store, result(run=RUN))
    plan = plan_prune(store, RUN, TWO)
    assert [orphan.name.step for orphan in plan.orphans] == [600]
    store.create(key, text)
    assert 600 not in [name.step for name in prune(store, plan)]
    restore(store, manifest, tmp_path / "back")
    assert is_whole(manifest, tmp_path / "back")
