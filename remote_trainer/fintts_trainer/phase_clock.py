"""How long a run spent on what, and its pace: what the bill and the ETA come from."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from fintts_cost.schedule import Schedule

Part = Literal["setup", "training", "validation", "checkpoint", "teardown"]
PARTS: tuple[Part, ...] = ("setup", "training", "validation", "checkpoint", "teardown")


@dataclass
class Spent:
    """Seconds of one block."""

    seconds: float = 0.0


class PhaseClock:
    """Adds up seconds by part, on top of what earlier jobs of the run have spent."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._clock = clock

    def add(self, spent: dict[str, float]) -> None:
        """Adds what earlier jobs of the run have spent."""
        for part in PARTS:
            self.seconds[part] += spent.get(part, 0.0)

    @contextmanager
    def spend(self, part: Part) -> Generator[Spent]:
        """Books the time inside of the block on this part; it is known when the block is left."""
        spent, start = Spent(), self._clock()
        try:
            yield spent
        finally:
            spent.seconds = self._clock() - start
            self.seconds[part] += spent.seconds


class Pace:
    """Seconds per step and what is left of them, without the first steps, which warm up."""

    WARM_UP_STEPS = 3

    def __init__(self) -> None:
        self._steps = 0
        self._step_seconds = 0.0
        self._validations = 0
        self._validation_seconds = 0.0

    def add_step(self, seconds: float) -> None:
        """One more step took so long."""
        self._steps += 1
        if self._steps > self.WARM_UP_STEPS:
            self._step_seconds += seconds

    def add_validation(self, seconds: float) -> None:
        """One more validation check took so long."""
        self._validations += 1
        self._validation_seconds += seconds

    @property
    def seconds_per_step(self) -> float | None:
        """The mean of the steps after the warm-up; None before there are any."""
        counted = self._steps - self.WARM_UP_STEPS
        return self._step_seconds / counted if counted > 0 else None

    def eta_seconds(self, schedule: Schedule, step: int) -> float | None:
        """Until `max_steps`, validations included, if nothing stops the run before."""
        if self.seconds_per_step is None:
            return None
        checks = schedule.validation_checks(schedule.max_steps) - schedule.validation_checks(step)
        each = self._validation_seconds / self._validations if self._validations else 0.0
        return (schedule.max_steps - step) * self.seconds_per_step + checks * each
