"""The last save is committed before the deadline, whatever steps, checks and uploads take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fintts_trainer.session.deadline import SLACK, Deadline, PaceMeter

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Run:
    """A run that takes the decisions of the trainer's loop, on times that are made up.

    What is made up varies by less than the slack. The set-up has measured a check and a save.
    """

    step_seconds: float
    check_seconds: float
    save_seconds: float
    upload_seconds: float
    check_every: int
    save_every: int
    randomness: list[float]
    left_seconds: float

    def __post_init__(self) -> None:
        self.at, self.step, self.drawn = 0.0, 0, 0
        self.uploads_end: list[float] = []
        self.meter = PaceMeter()
        self.meter.checks.append(self.check_seconds)
        self.meter.saves.append(self.save_seconds)
        self.meter.steps.append(self.step_seconds)
        self.meter.uploads.append(self.upload_seconds)
        self.deadline = Deadline.from_now(NOON + timedelta(seconds=self.left_seconds), NOON)

    def varied(self, seconds: float) -> float:
        self.drawn += 1
        share = self.randomness[self.drawn % len(self.randomness)]
        return seconds * (1 + share * (SLACK - 1))

    @property
    def behind(self) -> int:
        return sum(end > self.at for end in self.uploads_end)

    def may_go_on(self) -> bool:
        needed = self.deadline.seconds_needed(
            self.meter.pace,
            has_check=(self.step + 1) % self.check_every == 0,
            uploads_behind=self.behind,
        )
        return not self.deadline.is_over(NOON + timedelta(seconds=self.at), needed)

    def take_step(self) -> None:
        seconds = self.varied(self.step_seconds)
        self.at += seconds
        self.step += 1
        self.meter.steps.append(seconds)
        if self.step % self.check_every == 0:
            seconds = self.varied(self.check_seconds)
            self.at += seconds
            self.meter.checks.append(seconds)

    def save(self) -> None:
        while self.behind >= 2:
            self.at = min(end for end in self.uploads_end if end > self.at)
        seconds = self.varied(self.save_seconds)
        self.at += seconds
        self.meter.saves.append(seconds)
        begin = max([self.at, *self.uploads_end])
        seconds = self.varied(self.upload_seconds)
        self.uploads_end.append(begin + seconds)
        self.meter.uploads.append(seconds)

    def to_its_end(self) -> None:
        """As `train_on` goes: step, check, save, and a last save where one is missing."""
        saved = 0
        while self.step < 300 and self.may_go_on():
            self.take_step()
            if self.step % self.save_every == 0:
                self.save()
                saved = self.step
        if saved != self.step:
            self.save()


@settings(max_examples=400, deadline=None)
@given(
    run=st.builds(
        Run,
        step_seconds=st.floats(0.1, 60),
        check_seconds=st.floats(0.1, 900),
        save_seconds=st.floats(0.01, 30),
        upload_seconds=st.floats(0.1, 300),
        check_every=st.integers(1, 40),
        save_every=st.integers(1, 40),
        randomness=st.lists(st.floats(0, 1), min_size=1, max_size=7),
        left_seconds=st.floats(1200, 40_000),
    )
)
def test_the_last_save_is_committed_before_the_deadline(run: Run) -> None:
    run.to_its_end()
    assert max([run.at, *run.uploads_end]) <= run.left_seconds
    one_step = run.deadline.seconds_needed(run.meter.pace, has_check=True)
    assert run.step > 0 or one_step * SLACK > run.left_seconds
