"""The one writer of result.json."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fintts_store import layout
from fintts_store.errors import InvalidRecord
from fintts_store.runs.end_run import end_run, kept_steps, result_by_store
from fintts_store.runs.limits import KEPT_STEPS
from fintts_store.runs.records import StopReason
from fintts_store.runs.runs import create_run, read_result
from memory_store import MemoryStore
from run_samples import manifest, record, result

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    create_run(store, record(run="mine", config={"early_stopping": {"monitor": "train/loss"}}))
    return store


def test_the_first_end_of_a_run_stays(store: MemoryStore) -> None:
    first = result(run="mine", stop_reason=StopReason.MAX_STEPS)
    assert end_run(store, first)
    assert not end_run(store, result(run="mine", stop_reason=StopReason.FAILED))
    assert read_result(store, "mine") == first


@pytest.mark.parametrize(
    ("before", "launch", "is_written"),
    [(1, 2, True), (2, 2, False), (3, 2, False), (None, 2, False), (1, None, False)],
)
def test_the_end_of_an_earlier_launch_gives_way(
    store: MemoryStore, before: int | None, launch: int | None, *, is_written: bool
) -> None:
    end_run(store, result(run="mine", launch=before))
    assert end_run(store, result(run="mine", launch=launch, step=7)) is is_written


def test_a_damaged_end_is_not_overwritten(store: MemoryStore) -> None:
    store.put(layout.result_key("mine"), b"{")
    assert not end_run(store, result(run="mine", launch=2))
    assert store.get(layout.result_key("mine")) == b"{"


@pytest.mark.parametrize("changes", [{"step": -1}, {"launch": 0}, {"claims": -3}])
def test_what_no_reader_would_take_is_not_written(
    store: MemoryStore, changes: dict[str, object]
) -> None:
    copy = result(run="mine").model_copy(update=changes)
    with pytest.raises(InvalidRecord, match=r"result\.json"):
        end_run(store, copy)
    assert read_result(store, "mine") is None


def test_who_ends_a_run_from_outside_takes_the_rest_from_the_store(store: MemoryStore) -> None:
    store.put(layout.status_key("mine"), b"torn")
    ended = result_by_store(
        store, "mine", StopReason.REQUESTED, "removed", ended_at=NOON, launch=4, samples_seen=9
    )
    assert (ended.step, ended.kept_steps, ended.claims) == (0, (), 0)
    assert (ended.launch, ended.samples_seen, ended.message) == (4, 9, "removed")
    assert ended.monitor == "train/loss"
    assert end_run(store, ended)
    assert read_result(store, "mine") == ended


def test_of_more_checkpoints_than_a_record_takes_the_newest_are_named() -> None:
    manifests = [manifest(step, None) for step in range(KEPT_STEPS + 5)]
    kept = kept_steps(reversed(manifests))
    assert (len(kept), kept[0], kept[-1]) == (KEPT_STEPS, 5, KEPT_STEPS + 4)
    result(kept_steps=kept)
