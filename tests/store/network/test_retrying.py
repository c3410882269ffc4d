"""Patience: with what passes, for as long as was said, and not a second time with the rest."""

from __future__ import annotations

import pytest

from fintts_store.errors import StoreDenied, StoreError, StoreUnreachable
from fintts_store.network import retrying
from fintts_store.network.retrying import insist


class Clock:
    """Time that passes only in pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retrying, "time", clock)
    return clock


class Store:
    """Fails with each of these, then answers."""

    def __init__(self, *errors: StoreError) -> None:
        self.errors = list(errors)

    def ask(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_what_passes_is_asked_again(clock: Clock) -> None:
    assert insist(Store(*[StoreUnreachable("down")] * 3).ask, limit_seconds=60) == "answer"
    assert clock.now == 0.5 + 1 + 2


def test_patience_ends_in_time(clock: Clock) -> None:
    with pytest.raises(StoreUnreachable):
        insist(Store(*[StoreUnreachable("down")] * 100).ask, limit_seconds=60)
    assert 50 < clock.now <= 60


def test_what_does_not_pass_is_asked_once(clock: Clock) -> None:
    store = Store(*[StoreDenied("no permission")] * 2)
    with pytest.raises(StoreDenied):
        insist(store.ask, limit_seconds=60)
    assert (len(store.errors), clock.now) == (1, 0.0)
