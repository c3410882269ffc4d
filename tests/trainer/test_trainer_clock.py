"""Deadline and phases: arithmetic on times that are passed in."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from fintts_trainer.deadline import Deadline
from fintts_trainer.phase_clock import PhaseClock
from fintts_trainer.preemption import Preemption

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_deadline_leaves_a_minute_for_the_last_checkpoint() -> None:
    deadline = Deadline.from_now(NOON + timedelta(hours=4), NOON)
    assert deadline.margin_seconds == 60
    assert not deadline.is_over(NOON + timedelta(hours=4, seconds=-66), next_step_seconds=5.4)
    assert deadline.is_over(NOON + timedelta(hours=4, seconds=-65), next_step_seconds=5.4)


def test_a_short_deadline_leaves_a_twentieth() -> None:
    deadline = Deadline.from_now(NOON + timedelta(seconds=100), NOON)
    assert deadline.margin_seconds == 5
    assert not deadline.is_over(NOON + timedelta(seconds=94), 0.5)
    assert deadline.is_over(NOON + timedelta(seconds=95), 0.5)


def test_a_deadline_in_the_past_is_over() -> None:
    assert Deadline.from_now(NOON - timedelta(seconds=1), NOON).is_over(NOON, 0.0)


def test_phases_add_up_over_jobs() -> None:
    times = iter([0.0, 3.0, 10.0, 11.5, 20.0, 24.0])
    clock = PhaseClock(lambda: next(times))
    with clock.spend("setup"):
        pass
    with clock.spend("training") as spent:
        pass
    assert spent.seconds == 1.5
    clock.add({"training": 100.0, "validation": 7.0})
    with pytest.raises(ZeroDivisionError), clock.spend("training"):
        _ = 1 / 0
    assert clock.seconds == {
        "setup": 3.0,
        "training": 105.5,
        "validation": 7.0,
        "checkpoint": 0.0,
        "teardown": 0.0,
    }


def test_a_signal_is_remembered_and_a_second_interrupt_ends_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    preemption, seen = Preemption(), list[int | None]()
    try:
        preemption.watch()
        seen.append(preemption.signal)
        os.kill(os.getpid(), signal.SIGINT)
        seen.append(preemption.signal)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        seen.append(preemption.signal)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    assert seen == [None, signal.SIGINT, signal.SIGTERM]
