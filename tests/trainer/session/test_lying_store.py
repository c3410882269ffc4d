"""Runs whose store shows nothing of them, and instances that were taken over."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.errors import Fenced, StoreDenied, StoreUnreachable
from fintts_store.layout import checkpoints_prefix, commits_prefix
from fintts_store.runs.claims import take_claim
from fintts_store.runs.records import Phase, Status
from fintts_store.runs.runs import read_result, read_status, withdraw_result, write_status
from fintts_store.store import Store
from fintts_trainer.session.conclude import conclude
from fintts_trainer.session.heartbeat import Heartbeat
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from lying_store import LyingStore
from memory_store import MemoryStore
from run_samples import status
from tiny_run import TinyRun, start_run

QUICK: dict[str, dict[str, object]] = {
    "training": {"max_steps": 4, "warmup_steps": 2},
    "validation": {"every": 4, "fraction": 0.2},
    "checkpoints": {"every": 1, "keep_last": 2},
}


def steps(run: TinyRun) -> list[int]:
    return [manifest.step for manifest in list_manifests(run.store, run.name)]


def relaunched(folder: Path) -> TinyRun:
    """A run that was at work, up to step 4, and goes on."""
    run = start_run(folder, QUICK)
    assert train(run.job(), Preemption()) is not None
    withdraw_result(run.store, run.name)
    assert steps(run) == [3, 4]
    return run


@pytest.mark.parametrize("hidden", ["commits", "commits and checkpoints", "everything"])
def test_a_run_whose_checkpoints_are_not_listed_ends_and_keeps_them(
    tmp_path: Path, hidden: str
) -> None:
    run = relaunched(tmp_path)
    hides = {
        "commits": lambda prefix: prefix == commits_prefix(run.name),
        "commits and checkpoints": lambda prefix: (
            prefix in (commits_prefix(run.name), checkpoints_prefix(run.name))
        ),
        "everything": lambda _prefix: True,
    }
    store = LyingStore(tmp_path / "store", hides[hidden])
    job = replace(run.job("other"), store=store, patience_seconds=0.6)
    with pytest.raises(StoreUnreachable):
        train(job, Preemption())
    assert read_result(run.store, run.name) is None
    assert steps(run) == [3, 4]


def test_a_run_whose_checkpoints_are_listed_a_little_later_goes_on(tmp_path: Path) -> None:
    run = relaunched(tmp_path)
    store = LyingStore(tmp_path / "store", lambda prefix: "/commits/" in prefix, times=2)
    result = train(replace(run.job("other"), store=store), Preemption())
    assert result is not None
    assert result.samples_seen > 0
    assert store.lies == 2
    told = read_status(run.store, run.name)
    assert told is not None
    assert told.resume_point == list_manifests(run.store, run.name)[-1].id


def beating(store: Store, claim: int) -> Heartbeat:
    first = status(run="tiny", claim=claim, phase=Phase.TRAINING)
    return Heartbeat(store, first, lambda _sentence: None, lambda: datetime.now(UTC))


def told(store: Store) -> Status:
    found = read_status(store, "tiny")
    assert found is not None
    return found


def test_who_was_taken_over_leaves_the_status_alone_and_ends() -> None:
    store = MemoryStore()
    old = beating(store, take_claim(store, "tiny", "old"))
    old.start()
    while not store.list("runs/tiny/status.json"):
        time.sleep(0.01)
    new = status(run="tiny", claim=take_claim(store, "tiny", "new"), resume_point="0123abcd")
    write_status(store, new)
    old.change(phase=Phase.SAVING)
    old.end(Phase.FAILED)
    with pytest.raises(Fenced, match="taken over"):
        old.check()
    assert told(store) == new


def test_a_status_of_a_claim_that_nobody_has_taken_silences_nobody() -> None:
    store = MemoryStore()
    mine = beating(store, take_claim(store, "tiny", "me"))
    write_status(store, status(run="tiny", claim=999_999))
    mine.start()
    mine.end(Phase.DONE)
    mine.check()
    assert told(store).claim == 1


def test_the_last_word_waits_for_a_store_that_shows_no_claim(tmp_path: Path) -> None:
    run = relaunched(tmp_path)
    lying = LyingStore(tmp_path / "store", lambda prefix: "/claims/" in prefix)
    with pytest.raises(StoreUnreachable, match="claim 1"):
        conclude(replace(run.job(), store=lying), 1)
    assert conclude(run.job(), 1) is not None


class Closed(DirectoryStore):
    """Takes no checkpoint."""

    def put(self, key: str, source: bytes | Path) -> None:
        if "/checkpoints/" in key:
            raise StoreDenied("the store takes no checkpoint", "ask whose store it is")
        super().put(key, source)


def failed_at_step_two(folder: Path) -> TinyRun:
    """Its two checkpoints are on the disk alone: a third refusal ends the run."""
    run = start_run(folder, {**QUICK, "checkpoints": {"every": 1, "keep_last": 2}})
    with pytest.raises(StoreDenied):
        train(replace(run.job(), store=Closed(folder / "store")), Preemption())
    assert steps(run) == []
    return run


def resumed_at(run: TinyRun, capsys: pytest.CaptureFixture[str], workspace: str) -> list[str]:
    assert train(run.job(workspace), Preemption()) is not None
    said = capsys.readouterr().err.splitlines()
    return [line for line in said if "resumed at" in line or "on this disk" in line]


def test_what_a_failed_run_left_on_the_disk_is_taken_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = failed_at_step_two(tmp_path)
    left = max(
        int(p.name.partition("-")[2])
        for p in (tmp_path / "workspace/checkpoints").iterdir()
        if p.is_dir()
    )
    assert left >= 2
    uploaded, resumed = resumed_at(run, capsys, "workspace")
    assert f"step {left} is on this disk" in uploaded
    assert resumed.endswith(f"resumed at step {left}")
    assert steps(run)[-1] == 4


@pytest.mark.parametrize("other", ["run", "configuration", "workspace", "damaged note"])
def test_what_belongs_to_another_run_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    run = failed_at_step_two(tmp_path)
    for note in (tmp_path / "workspace" / "checkpoints").glob("*.json"):
        content = json.loads(note.read_text())
        content |= {
            "run": {"created_at": "2026-01-01T00:00:00Z"},
            "configuration": {"config_digest": "0" * 64},
        }.get(other, {})
        note.write_text("{" if other == "damaged note" else json.dumps(content))
    workspace = "elsewhere" if other == "workspace" else "workspace"
    assert resumed_at(run, capsys, workspace) == []


def test_what_the_store_has_beyond_the_disk_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = failed_at_step_two(tmp_path)
    assert train(run.job("elsewhere"), Preemption()) is not None
    withdraw_result(run.store, run.name)
    (resumed,) = resumed_at(run, capsys, "workspace")
    assert resumed.endswith("resumed at step 4")
