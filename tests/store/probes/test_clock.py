"""Whether this machine's clock is the store's, as far as the store tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.errors import StoreUnreachable
from fintts_store.probes.clock import HasClock, ahead_by, skew_of
from memory_store import MemoryStore
from s3_servers import make_bucket

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Elsewhere(MemoryStore):
    """It is another time there."""

    def __init__(self, theirs: datetime | None, error: Exception | None = None) -> None:
        super().__init__()
        self._theirs, self._error = theirs, error

    def clock(self, within: str = "") -> datetime | None:
        if self._error is not None:
            raise self._error
        return self._theirs


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (NOON, None),
        (NOON - timedelta(seconds=61), None),
        (NOON + timedelta(seconds=60), None),
        (NOON - timedelta(seconds=62), "this machine's clock is 61 s ahead of that of "),
        (NOON + timedelta(hours=1), "this machine's clock is 3,600 s behind that of "),
        (None, None),
    ],
)
def test_a_clock_that_is_off_is_said_with_its_size(
    theirs: datetime | None, said: str | None
) -> None:
    store = Elsewhere(theirs)
    assert skew_of(store, lambda: NOON) == (said and f"{said}{store.url}")


def test_what_asking_takes_is_no_skew() -> None:
    moments = [NOON, NOON + timedelta(minutes=5)]
    assert ahead_by(Elsewhere(NOON + timedelta(minutes=2)), lambda: moments.pop(0)) == timedelta()


def test_a_store_that_does_not_tell_says_nothing() -> None:
    assert skew_of(MemoryStore(), lambda: NOON) is None
    assert skew_of(Elsewhere(None, StoreUnreachable("no answer")), lambda: NOON) is None


def test_a_folder_tells_by_a_file_and_leaves_none(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    assert store.clock() is None
    assert not store.root.exists(), "it is not made by looking at the clock"
    store.put("a", b"1")
    before = store.list("")
    assert isinstance(store, HasClock)
    assert abs(ahead_by(store)) < timedelta(seconds=60)
    assert store.clock() is not None
    assert (store.list(""), store.unfinished("")) == (before, [])


def test_s3_tells_by_the_date_of_an_answer(moto_endpoint: str) -> None:
    store = S3Store(make_bucket(moto_endpoint, "clock"))
    assert store.clock() is not None
    assert abs(ahead_by(store)) < timedelta(seconds=60)
