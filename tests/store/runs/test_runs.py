"""A run's records in the store: which is the newest, and which rows of metrics count."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.errors import InvalidRecord, KeyExists
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import MetricRow
from fintts_store.runs.run_record import Revision
from fintts_store.runs.runs import (
    create_revision,
    create_run,
    newest_run,
    read_configurations,
    read_run,
    request_stop,
    stop_requested,
    withdraw_revision,
)
from memory_store import MemoryStore
from run_samples import record

RUN, NOW = "tiny", datetime(2026, 1, 1, tzinfo=UTC)


def put_part(
    store: MemoryStore,
    claim: int,
    part: int,
    losses: dict[int, float],
    kind: Literal["train", "validation"] = "train",
) -> None:
    rows = [MetricRow(step=s, kind=kind, values={"loss": v}, at=NOW) for s, v in losses.items()]
    text = "".join(row.dump() + "\n" for row in rows)
    store.put(layout.metrics_key(RUN, claim, part), text.encode())


def losses(store: MemoryStore, kind: str = "train") -> dict[int, float]:
    return {
        row.step: row.values["loss"] for row in read_metrics(store, RUN).rows if row.kind == kind
    }


def test_rows_come_in_order_of_steps() -> None:
    store = MemoryStore()
    put_part(store, 1, 1, {3: 7.0, 4: 6.0})
    put_part(store, 1, 0, {1: 9.0, 2: 8.0})
    assert list(losses(store).items()) == [(1, 9.0), (2, 8.0), (3, 7.0), (4, 6.0)]


def test_steps_that_a_preemption_threw_away_do_not_count() -> None:
    store = MemoryStore()
    put_part(store, 1, 0, {1: 9.0, 2: 8.0, 3: 7.0, 4: 6.0})
    put_part(store, 1, 1, {2: 5.0, 4: 4.0}, "validation")
    put_part(store, 2, 0, {3: 6.5})
    assert losses(store) == {1: 9.0, 2: 8.0, 3: 6.5}
    assert losses(store, "validation") == {2: 5.0, 4: 4.0}


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_read_back(loss: float) -> None:
    store = MemoryStore()
    put_part(store, 1, 0, {1: loss})
    assert repr(losses(store)[1]) == repr(loss)


def test_a_folder_that_is_no_run_is_passed_over() -> None:
    store = MemoryStore()
    store.put("runs/Old Runs/note.txt", b"x")
    assert newest_run(store) is None


def revision(number: int) -> Revision:
    config = {"training": {"max_steps": number}}
    return Revision(
        run=RUN, number=number, created_at=NOW, fintts_version="0", config=config, changes=("x",)
    )


def test_the_newest_configuration_is_the_run_s() -> None:
    store = MemoryStore()
    asked = record(run=RUN)
    create_run(store, asked)
    assert read_run(store, RUN) == asked
    for number in range(1, 12):
        create_revision(store, revision(number))
    store.put(layout.revisions_prefix(RUN) + "notes.txt", b"somebody else's")
    changed = read_run(store, RUN)
    assert (changed.config, changed.revision) == ({"training": {"max_steps": 11}}, 11)
    assert changed.model_copy(update={"config": asked.config, "revision": 0}) == asked
    assert len(read_configurations(store, RUN)) == 12
    with pytest.raises(KeyExists):
        create_revision(store, revision(11))
    withdraw_revision(store, RUN, 11)
    assert read_run(store, RUN).revision == 10


def test_a_damaged_revision_is_named_and_not_passed_over() -> None:
    store = MemoryStore()
    create_run(store, record(run=RUN))
    store.put(layout.revision_key(RUN, 1), b"{")
    with pytest.raises(InvalidRecord, match=r"revisions/000001\.json"):
        read_run(store, RUN)


@pytest.mark.parametrize(
    ("content", "is_asked"),
    [
        (b'{"run": "mi', True),
        (b"", True),
        (b"\xff\0", True),
        (b"x" * 1_000_000, True),
        (b'{"run": "other", "reason": "r", "at": "2026-11-23T09:00:00Z"}', False),
    ],
)
def test_a_torn_request_to_stop_is_one_and_that_of_another_run_is_none(
    tmp_path: Path, content: bytes, *, is_asked: bool
) -> None:
    store = DirectoryStore(tmp_path)
    assert not stop_requested(store, "mine")
    store.put("runs/mine/stop.json", content)
    assert stop_requested(store, "mine") == is_asked
    request_stop(store, "mine", "enough")
    assert stop_requested(store, "mine")
