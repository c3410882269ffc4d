"""The forecast of early stopping during a run: made after a check, told with each step.

It never harms the run: whatever goes wrong is one line of the log, and its time is a small share
of the run's.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_store.runs.records import StopForecast
from fintts_trainer.forecast.stop import Cadence, StopSteps, forecast_stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cost.pace.eta import EtaMeter
    from fintts_cost.training.early_stopping import EarlyStopping, Progress
    from fintts_cost.training.schedule import Schedule

FEWEST_CHECKS = 5
"""before them, a forecast says little"""
MOST_SHARE = 0.01
"""of the run's time: where checks follow each other so fast, some get no forecast of their own"""


@dataclass
class Forecaster:
    """The newest forecast of a run."""

    rule: EarlyStopping
    schedule: Schedule
    seed: int
    log: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    checks: int = 0
    """that the newest forecast knows"""
    newest: StopSteps | None = None
    _next_at: float = -math.inf

    def look(self, progress: Progress, monitored: list[float | None], step: int) -> None:
        """Makes a new forecast after the check at this step, if it is time for one."""
        began = self.clock()
        if len(monitored) < FEWEST_CHECKS or began < self._next_at:
            return
        self.newest, self.checks = self._contained(progress, monitored, step), progress.checks
        ended = self.clock()
        self._next_at = ended + (ended - began) / MOST_SHARE

    def _contained(
        self, progress: Progress, monitored: list[float | None], step: int
    ) -> StopSteps | None:
        values = [math.nan if value is None else value for value in monitored]
        cadence = Cadence(step, self.schedule.validation_every, self.schedule.max_steps)
        try:
            return forecast_stop(self.rule, progress, values, cadence, seed=self.seed)
        except Exception as error:  # the run matters, a forecast does not
            self.log(f"no forecast of early stopping after step {step}: {error!r}")
            return None

    def told(self, eta: EtaMeter, step: int) -> StopForecast | None:
        """The newest forecast for status.json, with the time from this step on."""
        found = self.newest
        if found is None:
            return None
        steps = [max(each, step) for each in (found.low, found.likely, found.high)]
        seconds = [eta.seconds_between(self.schedule, step, end) for end in steps]
        return StopForecast(
            checks=self.checks,
            low_step=steps[0],
            likely_step=steps[1],
            high_step=steps[2],
            low_seconds=seconds[0],
            likely_seconds=seconds[1],
            high_seconds=seconds[2],
            improvement=found.improvement,
        )
