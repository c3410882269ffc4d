"""Metrics reach the store whole, whatever happens while they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from fintts_store.errors import StoreUnreachable
from fintts_store.runs.metrics import read_metrics
from fintts_trainer.session.metrics import Metrics
from memory_store import MemoryStore

RUN = "tiny"


class BusyStore(MemoryStore):
    """While a part is written, the loop adds another row; the first write may fail."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__()
        self.metrics = Metrics(self, RUN, claim=1)
        self._fails, self._written = fails, 0

    def put(self, key: str, source: bytes | Path) -> None:
        self._written += 1
        if self._written == 1:
            self.metrics.add(2, "train", {"loss": 2.0})
            if self._fails:
                raise StoreUnreachable("no route to the store")
        super().put(key, source)


def steps(store: BusyStore) -> list[int]:
    return [row.step for row in read_metrics(store, RUN).rows]


def test_a_row_added_while_a_part_is_written_is_in_the_next_one() -> None:
    store = BusyStore(fails=False)
    store.metrics.add(1, "train", {"loss": 1.0})
    store.metrics.flush()
    assert steps(store) == [1]
    store.metrics.flush()
    assert steps(store) == [1, 2]


def test_rows_of_a_part_that_failed_are_in_the_next_one() -> None:
    store = BusyStore(fails=True)
    store.metrics.add(1, "train", {"loss": 1.0})
    with pytest.raises(StoreUnreachable):
        store.metrics.flush()
    assert steps(store) == []
    store.metrics.flush()
    assert steps(store) == [1, 2]
