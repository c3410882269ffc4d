"""Items made ahead in a thread: the same ones in the same order, and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from fintts_trainer.data.prefetch import prefetched


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_items_come_in_order_and_then_end() -> None:
    with prefetched(iter(range(20)), ahead=3) as items:
        assert list(items) == list(range(20))
        assert list(items) == []
    assert not prefetch_threads()


def test_they_are_made_in_another_thread_and_not_too_far_ahead() -> None:
    made: list[int] = []
    ready = threading.Semaphore(0)

    def source() -> Iterator[str]:
        for number in count():
            made.append(number)
            ready.release()
            yield threading.current_thread().name

    with prefetched(source(), ahead=2) as items:
        for _ in range(3):  # two that lie ready, and one in hand
            ready.acquire()
        assert not ready.acquire(timeout=0.05)
        assert next(items) == "prefetch"
        ready.acquire()
        assert len(made) == 4


def test_an_error_reaches_the_loop_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with prefetched(source()) as items:
        assert next(items) == 1
        for _ in range(2):
            with pytest.raises(OSError, match="the disk is gone"):
                next(items)
    assert not prefetch_threads()


def test_the_thread_ends_with_a_block_that_fails() -> None:
    made = threading.Semaphore(0)

    def source() -> Iterator[int]:
        for number in count():
            made.release()
            yield number

    def fail() -> None:
        with prefetched(source(), ahead=1) as items:
            first = next(items)
            for _ in range(3):  # one is read, one lies ready, and the thread stands with another
                made.acquire()
            raise ValueError(f"the loop, after {first}")

    with pytest.raises(ValueError, match="the loop, after 0"):
        fail()
    assert not prefetch_threads()


def test_the_wait_is_that_for_the_last_item() -> None:
    ticks = iter([0.0, 5.0, 7.0, 7.25])
    with prefetched(iter("ab"), clock=lambda: next(ticks)) as items:
        next(items)
        assert items.waited_seconds == 5.0
        next(items)
        assert items.waited_seconds == 0.25
