"""The uploader: no step waits for the network; what passes is tried again, the rest is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.uploader import Uploader
from fintts_store.errors import (
    Fenced,
    KeyExpired,
    StoreDenied,
    StoreError,
    StoreSlow,
    StoreUnreachable,
)
from fintts_store.runs.claims import take_claim
from memory_store import MemoryStore

RUN, SOON = "tiny", 20.0


class GatedStore(MemoryStore):
    """Takes a file when its gate is open; fails with what lies in `errors` first."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.entered = threading.Event(), threading.Event()
        self.errors: list[StoreError] = []
        self.unprepared: list[StoreError] = []

    def put(self, key: str, source: bytes | Path) -> None:
        self.entered.set()
        assert self.gate.wait(SOON)
        if self.errors:
            raise self.errors.pop(0)
        super().put(key, source)


class Rig:
    """An uploader, and what it told."""

    def __init__(
        self,
        folder: Path,
        first_pause_seconds: float = 0.001,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store, self.folder = GatedStore(), folder
        take_claim(self.store, RUN, "me")
        self.committed: list[int] = []
        self.told: list[StoreError] = []
        self.slow, self.leaving = threading.Event(), threading.Event()
        self.prepared = 0
        committer = Committer(self.store, RUN, 1, keep_last=5, keep_best=True)
        self.uploader = Uploader(
            committer,
            self._prepare,
            self._commit,
            self._trouble,
            first_pause_seconds=first_pause_seconds,
            draining_pause_seconds=0.001,
            now_seconds=now_seconds,
        )

    def _prepare(self) -> None:
        self.prepared += 1
        if self.store.unprepared:
            raise self.store.unprepared.pop(0)

    def _commit(self, manifest: Manifest) -> None:
        self.committed.append(manifest.step)

    def _trouble(self, error: StoreError) -> None:
        self.told.append(error)
        if isinstance(error, StoreSlow):
            self.slow.set()

    def submit(self, step: int) -> None:
        target = self.folder / f"checkpoint-{step}"
        target.mkdir()
        (target / "adapter_model.safetensors").write_text(str(step))
        facts = CheckpointFacts(step, "c", "b", "val/loss", "min", None)
        self.uploader.submit(target, facts, self.leaving.is_set)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.store.gate.set()
    rig.uploader.close()


def test_submitting_does_not_wait_for_the_network(rig: Rig) -> None:
    rig.submit(100)
    assert rig.store.entered.wait(SOON)
    rig.submit(200)  # returns although the first one hangs
    assert rig.committed == []
    assert not rig.uploader.drain(0.01)
    rig.store.gate.set()
    assert rig.uploader.drain(SOON)
    assert rig.committed == [100, 200]
    assert rig.told == []


def test_a_key_that_has_ended_ends_the_uploader(rig: Rig) -> None:
    """It can never save again: who trains on pays for nothing."""
    rig.store.errors = [KeyExpired("the credentials have expired")]
    rig.store.gate.set()
    rig.submit(100)
    with pytest.raises(KeyExpired):
        rig.uploader.drain(SOON)
    with pytest.raises(KeyExpired):
        rig.uploader.check()


def test_the_third_waits_and_says_so(rig: Rig) -> None:
    rig.submit(100)
    assert rig.store.entered.wait(SOON)
    rig.submit(200)
    third = threading.Thread(target=rig.submit, args=(300,))
    third.start()
    assert rig.slow.wait(SOON)
    assert third.is_alive()
    rig.store.gate.set()
    third.join(SOON)
    assert rig.uploader.drain(SOON)
    assert rig.committed == [100, 200, 300]


def in_vain(rig: Rig, *steps: int) -> None:
    """The first is on its way, the second waits, and each further one makes its maker wait."""
    rig.leaving.set()
    for step in steps:
        rig.submit(step)
        assert rig.store.entered.wait(SOON)


def slow(rig: Rig) -> StoreSlow | None:
    return rig.uploader.slow


def test_that_the_store_is_slow_is_told_once_until_a_save_does_not_wait(rig: Rig) -> None:
    in_vain(rig, 100, 200)
    assert slow(rig) is None
    in_vain(rig, 300, 400)
    (told,) = rig.told
    assert slow(rig) is told
    rig.store.gate.set()
    assert rig.uploader.drain(SOON)
    assert slow(rig) is told, "nothing was saved since"
    rig.submit(500)
    assert slow(rig) is None
    assert rig.uploader.drain(SOON)
    rig.store.gate.clear()
    rig.store.entered.clear()
    in_vain(rig, 600, 700, 800)
    assert [type(error) for error in rig.told] == [StoreSlow, StoreSlow]


def test_who_has_to_leave_is_not_kept_waiting_and_loses_nothing(rig: Rig) -> None:
    rig.submit(100)
    assert rig.store.entered.wait(SOON)
    rig.submit(200)
    third = threading.Thread(target=rig.submit, args=(300,))
    third.start()
    assert rig.slow.wait(SOON)
    rig.leaving.set()  # the notice of a preemption, while the store does not answer
    third.join(SOON)
    assert not third.is_alive()
    assert not rig.uploader.drain(0.01)
    rig.store.gate.set()
    assert rig.uploader.drain(SOON)
    assert rig.committed == [100, 200, 300]


def test_what_belongs_before_a_commit_is_tried_again_with_it(rig: Rig) -> None:
    rig.store.unprepared = [StoreUnreachable("down")]
    rig.store.gate.set()
    rig.submit(100)
    assert rig.uploader.drain(SOON)
    assert (rig.prepared, rig.committed) == (2, [100])


def test_what_passes_by_itself_is_tried_again(rig: Rig) -> None:
    rig.store.errors = [StoreUnreachable("down"), StoreUnreachable("down")]
    rig.store.gate.set()
    rig.submit(100)
    assert rig.uploader.drain(SOON)
    assert rig.committed == [100]
    assert [error.message for error in rig.told] == ["down", "down"]


def test_what_does_not_pass_is_said_once_and_the_local_copy_stays(rig: Rig) -> None:
    rig.store.errors = [StoreDenied("no permission")]
    rig.store.gate.set()
    rig.submit(100)
    assert not rig.uploader.drain(SOON)
    assert [error.message for error in rig.told] == ["no permission"]
    assert (rig.folder / "checkpoint-100" / "adapter_model.safetensors").exists()
    rig.submit(200)
    assert rig.uploader.drain(SOON)
    assert [manifest.step for manifest in list_manifests(rig.store, RUN)] == [200]


def refused_at(rig: Rig, *steps: int) -> None:
    for step in steps:
        rig.store.errors = [StoreDenied(f"no permission for {step}")]
        rig.submit(step)
        assert not rig.uploader.drain(SOON)


def test_one_refusal_after_the_other_ends_the_uploader(rig: Rig) -> None:
    """Nobody would ever see what is trained from then on."""
    rig.store.gate.set()
    refused_at(rig, 100, 200)
    rig.uploader.check()
    rig.store.errors = [StoreDenied("no permission for 300")]
    rig.submit(300)
    with pytest.raises(StoreDenied, match="no permission for 300"):
        rig.uploader.drain(SOON)
    with pytest.raises(StoreDenied):
        rig.uploader.check()
    assert (rig.folder / "checkpoint-300" / "adapter_model.safetensors").exists()


def test_a_permission_that_comes_back_is_made_use_of(rig: Rig) -> None:
    rig.store.gate.set()
    refused_at(rig, 100, 200)
    rig.submit(300)
    assert rig.uploader.drain(SOON)
    refused_at(rig, 400, 500)
    rig.uploader.check()
    assert rig.committed == [300]


def test_being_fenced_reaches_the_loop(rig: Rig) -> None:
    take_claim(rig.store, RUN, "newer")
    rig.store.gate.set()
    rig.submit(100)
    with pytest.raises(Fenced):
        rig.uploader.drain(SOON)
    with pytest.raises(Fenced):
        rig.uploader.check()
    with pytest.raises(Fenced):
        rig.submit(200)


class WatchedClock:
    """Tells when a pause has begun: its end is computed under the lock that drain() needs."""

    def __init__(self) -> None:
        self.pausing = threading.Event()
        self.looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        if self.looks == 2:
            self.pausing.set()
        return time.monotonic()


def test_draining_cuts_a_long_pause_short(tmp_path: Path) -> None:
    """The grace after a preemption is shorter than two of the longest pauses."""
    clock = WatchedClock()
    rig = Rig(tmp_path, first_pause_seconds=3600.0, now_seconds=clock.monotonic)
    rig.store.errors = [StoreUnreachable("down")]
    rig.store.gate.set()
    rig.submit(100)
    assert clock.pausing.wait(SOON)
    assert rig.uploader.drain(SOON)
    assert rig.committed == [100]
    rig.uploader.close()


def test_closing_ends_a_retry_loop(rig: Rig) -> None:
    rig.store.errors = [StoreUnreachable("down")] * 100_000
    rig.store.gate.set()
    rig.submit(100)
    assert not rig.uploader.drain(0.05)
    rig.uploader.close()
    assert rig.committed == []
