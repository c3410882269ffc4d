"""Deadline and phases: arithmetic on times that are passed in."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fintts_store.errors import StoreUnreachable
from fintts_trainer.session.deadline import Deadline, Pace, PaceMeter
from fintts_trainer.session.job import Job
from fintts_trainer.session.phase_clock import PhaseClock
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.session.wall_clock import WallClock, wall_clock_of
from other_clock import OtherClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_deadline_leaves_room_for_the_next_step_its_check_its_save_and_its_upload() -> None:
    deadline = Deadline.from_now(NOON + timedelta(hours=4), NOON)
    pace = Pace(step=5.0, check=100.0, save=10.0, upload=20.0)
    assert deadline.seconds_needed(pace, has_check=False) == pytest.approx(1.2 * 35 + 15)
    assert deadline.seconds_needed(pace, has_check=True) == pytest.approx(1.2 * 135 + 15)
    behind = deadline.seconds_needed(pace, has_check=False, uploads_behind=1)
    assert behind == pytest.approx(1.2 * 55 + 15)
    assert not deadline.is_over(NOON + timedelta(hours=4, seconds=-66), 65)
    assert deadline.is_over(NOON + timedelta(hours=4, seconds=-65), 65)


def test_what_was_not_measured_is_assumed_and_one_odd_upload_does_not_end_a_run() -> None:
    deadline = Deadline.from_now(NOON + timedelta(hours=4), NOON)
    assert deadline.seconds_to_commit(Pace()) == pytest.approx(1.2 * 60 + 15)
    assert deadline.seconds_to_commit(Pace(upload=7200.0)) == 1.2 * 300 + 15


def test_a_short_deadline_leaves_a_twentieth() -> None:
    deadline = Deadline.from_now(NOON + timedelta(seconds=100), NOON)
    assert deadline.seconds_to_commit(Pace()) == pytest.approx(1.2 * 5 + 5)


def test_a_deadline_in_the_past_is_over() -> None:
    assert Deadline.from_now(NOON - timedelta(seconds=1), NOON).is_over(NOON, 0.0)


def test_of_each_part_the_longest_of_the_last_few_counts() -> None:
    meter = PaceMeter(earlier=Pace(step=1.0, check=9.0))
    meter.steps.extend([60.0, *[5.0] * 9])
    assert (meter.pace.step, meter.pace.check) == (60.0, 9.0)
    meter.steps.append(5.5)
    assert meter.pace.step == 5.5


def test_a_plan_knows_the_checks_of_earlier_jobs_until_one_is_measured() -> None:
    assert PaceMeter().known_checks == []
    meter = PaceMeter(earlier=Pace(check=9.0))
    assert meter.known_checks == [9.0]
    meter.checks.extend([7.0, 8.0])
    assert meter.known_checks == [7.0, 8.0]


@dataclass
class Clocks:
    """A time of day that can be set, and seconds that only pass."""

    utc: datetime = NOON
    seconds: float = 0.0

    def wall_clock(self) -> WallClock:
        return WallClock(NOON - timedelta(days=1), lambda: self.utc, lambda: self.seconds)

    def pass_by(self, seconds: float, set_by: float = 0.0) -> None:
        self.seconds += seconds
        self.utc += timedelta(seconds=seconds + set_by)


@pytest.mark.parametrize(
    ("set_by", "now", "said"),
    [
        (0.0, 600, None),
        (5.0, 605, None),
        (-3600.0, 600, "is 3,600 s behind the elapsed time"),
        (7200.0, 7800, "was set forward by 7,200 s"),
    ],
)
def test_a_clock_that_is_set_does_not_move_the_deadline_back_and_is_told_once(
    set_by: float, now: float, said: str | None
) -> None:
    clocks = Clocks()
    wall_clock = clocks.wall_clock()
    clocks.pass_by(600, set_by)
    assert wall_clock.now() == NOON + timedelta(seconds=now)
    new_remark = wall_clock.new_remark()
    assert (new_remark is None) == (said is None)
    assert said is None or said in (new_remark or "")
    assert wall_clock.new_remark() is None


def test_a_machine_that_starts_with_yesterdays_clock_gets_no_day_more() -> None:
    clocks = Clocks(utc=NOON - timedelta(days=1))
    assert WallClock(NOON, lambda: clocks.utc, lambda: clocks.seconds).now() == NOON


@pytest.mark.parametrize(
    ("ahead", "now", "said"),
    [
        (timedelta(seconds=60), NOON, None),
        (timedelta(hours=1), NOON, "is 3,600 s ahead of the store's; the deadline follows this"),
        (-timedelta(hours=1), NOON + timedelta(hours=1), "is 3,600 s behind the elapsed time"),
    ],
)
def test_of_the_machine_s_clock_and_the_store_s_the_later_counts(
    ahead: timedelta, now: datetime, said: str | None
) -> None:
    clocks = Clocks()
    clock = WallClock(NOON, lambda: clocks.utc, lambda: clocks.seconds, ahead=ahead)
    assert clock.now() == now
    assert (said or "") in (clock.remark() or "")
    assert (clock.new_remark() is None) == (said is None)
    assert clock.new_remark() is None, "it is told once"


HOUR = timedelta(hours=1)


def wall_clock_in(folder: Path, ahead: timedelta, asked_at: datetime | None) -> WallClock:
    job = Job(OtherClock(folder, ahead), "mine", folder, None, asked_at=asked_at)
    return wall_clock_of(job, NOON)


def test_a_rented_machine_goes_by_the_store_s_clock_and_one_s_own_by_its_own(
    tmp_path: Path,
) -> None:
    before = datetime.now(UTC)
    assert wall_clock_in(tmp_path, HOUR, NOON).now() >= before + HOUR
    assert wall_clock_in(tmp_path, -HOUR, NOON).now() >= before
    assert wall_clock_in(tmp_path, HOUR, None).now() <= datetime.now(UTC)
    assert wall_clock_in(tmp_path, timedelta(), before + HOUR).now() >= before + HOUR


class Silent(OtherClock):
    """A store that does not answer who asks for the time."""

    def clock(self, within: str = "") -> datetime | None:
        raise StoreUnreachable("no answer")


def test_a_store_that_does_not_tell_the_time_leaves_the_request(tmp_path: Path) -> None:
    asked_at = datetime.now(UTC) + HOUR
    job = Job(Silent(tmp_path, HOUR), "mine", tmp_path, None, asked_at=asked_at)
    assert asked_at <= wall_clock_of(job, NOON).now() <= asked_at + HOUR / 2


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
        "encoding": 0.0,
        "training": 105.5,
        "validation": 7.0,
        "checkpoint": 0.0,
        "samples": 0.0,
        "teardown": 0.0,
    }


def test_of_two_accounts_of_earlier_jobs_the_higher_one_counts() -> None:
    clock = PhaseClock()
    clock.add({"encoding": 60.0})  # the last heartbeat
    clock.add({"encoding": 40.0, "training": 5.0})  # the checkpoint, which is older
    assert (clock.seconds["encoding"], clock.seconds["training"]) == (60.0, 5.0)
    clock.add({"encoding": 70.0})
    assert clock.seconds["encoding"] == 70.0


def test_a_part_may_begin_where_the_one_before_it_ended() -> None:
    times = iter([0.0, 3.0, 10.0, 11.0, 13.0, 14.0])
    clock = PhaseClock(lambda: next(times))
    with clock.spend("training", since_last=True) as first:
        pass
    with clock.spend("validation"):
        pass
    with clock.spend("training", since_last=True) as second:
        pass
    assert (first.seconds, second.seconds) == (3.0, 3.0)
    assert (clock.seconds["training"], clock.seconds["validation"]) == (6.0, 1.0)


def test_a_signal_is_remembered_and_a_second_interrupt_ends_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    preemption, seen = Preemption(), list[int | None]()
    try:
        preemption.install_handlers()
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
