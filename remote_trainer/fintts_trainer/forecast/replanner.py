"""The re-plan of a run: made once some steps are measured, and again once checks and saves are.

Money stays on the laptop: the instance compares the time that the run needs with its deadline.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fintts_cost.interval import Interval
from fintts_cost.pace.eta import WARMUP_STEPS
from fintts_store.runs.records import Replan, SecondsRange
from fintts_trainer.data.order import Order
from fintts_trainer.forecast.replan import Ahead, Measured, Rest, forecast_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from fintts_cost.training.schedule import Schedule
    from fintts_trainer.data.feed import Feed
    from fintts_trainer.forecast.arrays import Values

MEASURED_STEPS = 20
"""past the warm-up"""
MOST_AHEAD = 20_000
"""steps whose data are looked at; later ones count as their mean"""


@dataclass
class Replanner:
    """Measures the first steps of this process, and plans the rest of the run from them."""

    schedule: Schedule
    tokens_of_step: Callable[[int], int]
    """of the step that follows this many finished ones"""
    seed: int
    min_checks: int
    """a run with fewer of its validation checks is of no use"""
    log: Callable[[str], None]
    tokens: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])
    newest: Replan | None = None
    is_final: bool = False
    """whether checks and saves were measured when it was made"""

    def after_step(self, tokens: int, seconds: float) -> None:
        """Adds a step, until enough are measured."""
        if len(self.seconds) < WARMUP_STEPS + MEASURED_STEPS:
            self.tokens.append(float(tokens))
            self.seconds.append(seconds)

    def is_due(self, checks: Sequence[float], saves: Sequence[float]) -> bool:
        """Whether to plan now."""
        if len(self.seconds) < WARMUP_STEPS + MEASURED_STEPS or self.is_final:
            return False
        return self.newest is None or bool(checks and saves)

    def plan(
        self,
        step: int,
        *,
        checks: Sequence[float],
        saves: Sequence[float],
        uploads: Sequence[float],
        spent: Mapping[str, float],
        now: datetime,
        usable_seconds: float,
        speaking_seconds: float = 0.0,
    ) -> Replan | None:
        """Plans the rest of the run after this step; None if that fails, which never harms the run.

        Args:
            checks: seconds of the validation checks so far, with what is spoken after them.
            saves: seconds of the saves so far.
            uploads: seconds of the uploads so far; the last one comes after the last step.
            spent: phase → seconds of the run so far.
            usable_seconds: until the deadline, without the last save.
            speaking_seconds: the part of each check in which samples are spoken.
        """
        self.is_final = bool(checks and saves) or step >= self.schedule.max_steps
        try:
            rest = forecast_rest(self._measured(checks, saves), self._ahead(step), self.seed)
            spoken = speaking_seconds / float(np.mean(checks)) if checks else 0.0
            phases = _whole_phases(rest, spent, uploads, spoken)
            self.newest = self._replan(step, rest, phases, now, usable_seconds)
        except Exception as error:  # the run matters, a forecast does not
            self.is_final = True
            self.log(f"no forecast of the run's time after step {step}: {error!r}")
        return self.newest

    def _measured(self, checks: Sequence[float], saves: Sequence[float]) -> Measured:
        return Measured(
            np.array(self.tokens[WARMUP_STEPS:]),
            np.array(self.seconds[WARMUP_STEPS:]),
            np.array(checks, dtype=np.float64),
            np.array(saves, dtype=np.float64),
        )

    def _ahead(self, step: int) -> Ahead:
        last = self.schedule.max_steps
        known = [float(self.tokens_of_step(n)) for n in range(step, min(last, step + MOST_AHEAD))]
        tokens = np.full(last - step, np.mean(known) if known else 0.0)
        tokens[: len(known)] = known
        numbers = np.arange(step + 1, last + 1)
        return Ahead(
            tokens,
            (numbers % self.schedule.validation_every == 0).astype(np.float64),
            ((numbers % self.schedule.checkpoint_every == 0) | (numbers == last)).astype(float),
        )

    def _replan(
        self,
        step: int,
        rest: Rest,
        phases: dict[str, SecondsRange],
        now: datetime,
        usable_seconds: float,
    ) -> Replan:
        return Replan(
            step=step,
            measured_at=now,
            seconds_per_token=SecondsRange(**rest.seconds_per_token.to_json()),
            seconds_left=SecondsRange(**rest.seconds_left.to_json()),
            phase_seconds=phases,
            checks_that_fit=self._checks_that_fit(step, rest.likely_seconds, usable_seconds),
        )

    def _checks_that_fit(self, step: int, likely: Values, usable_seconds: float) -> int:
        """Of the whole run, including those already made."""
        steps = int(np.searchsorted(likely, usable_seconds, side="right"))
        return self.schedule.validation_checks(step + steps)

    @property
    def overrun(self) -> str | None:
        """A sentence if too few checks fit before the deadline for a useful run."""
        most = self.schedule.validation_checks(self.schedule.max_steps)
        wanted = min(self.min_checks, most)
        if self.newest is None or self.newest.checks_that_fit >= wanted:
            return None
        minutes = self.newest.seconds_left.likely / 60
        return (
            f"only {self.newest.checks_that_fit} of the run's {most} validation checks fit before "
            f"the deadline, fewer than the {wanted} of a useful run: all its steps would take "
            f"about {minutes:.0f} minutes more"
        )


def _whole_phases(
    rest: Rest, spent: Mapping[str, float], uploads: Sequence[float], spoken: float
) -> dict[str, SecondsRange]:
    """Each phase of the whole run: its seconds so far, and those to come.

    Args:
        spoken: the share of samples in the time of checks.
    """
    last = Interval(min(uploads), float(np.mean(uploads)), max(uploads)) if uploads else None
    left = {**rest.by_phase, "teardown": last or Interval.exactly(0.0)}
    checks = left["validation"]
    left |= {"validation": checks.times(1.0 - spoken), "samples": checks.times(spoken)}
    nothing = Interval.exactly(0.0)
    return {
        phase: SecondsRange(**left.get(phase, nothing).plus(seconds).to_json())
        for phase, seconds in spent.items()
    }


def replanner_of(
    feed: Feed, schedule: Schedule, seed: int, min_checks: int, log: Callable[[str], None]
) -> Replanner:
    """A planner with an `Order` of its own, since another thread uses the feed's."""
    lengths = feed.dataset.lengths[feed.training]
    order = Order(schedule, seed, lengths if feed.config.bucketing else None)

    def tokens_of_step(step: int) -> int:
        return int(lengths[order.samples_of_step(step)].sum())

    return Replanner(schedule, tokens_of_step, seed, min_checks, log)
