"""The simpler forecasts that benchmarks/forecast.py compares with the product's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fintts_trainer.forecast.rule import ends_of
from fintts_trainer.forecast.stop import PATHS, StopSteps, interval

if TYPE_CHECKING:
    from forecast_cases import Case

    from fintts_cost.training.early_stopping import Progress
    from simulated_curves import Values


def always_max_steps(case: Case, progress: Progress, checks: int) -> StopSteps | None:
    """Ignores the curve: the run ends at max_steps."""
    return StopSteps(case.max_steps, case.max_steps, case.max_steps, 0.0)


def local_trend(case: Case, progress: Progress, checks: int) -> StopSteps | None:
    """Damped Holt (Gardner & McKenzie 1985), the best of a small grid by its one-step errors, which
    are drawn again for the paths."""
    values = np.array(case.seen(checks))
    fits = [
        _holt(values, level, slope, damping)
        for level in (0.3, 0.5, 0.7, 0.9)
        for slope in (0.1, 0.3, 0.6)
        for damping in (0.7, 0.85, 0.95)
    ]
    best = min(fits, key=lambda fit: float(fit.errors @ fit.errors))
    random = np.random.default_rng([1, checks])
    level, trend = np.full(PATHS, best.level), np.full(PATHS, best.trend)
    paths = np.empty((case.cadence(checks).checks_ahead, PATHS))
    for check in range(len(paths)):
        error = random.choice(best.errors, PATHS)
        expected = level + best.damping * trend
        paths[check] = expected + error
        level = expected + best.level_gain * error
        trend = best.damping * trend + best.level_gain * best.slope_gain * error
    return _stops_of(case, progress, checks, paths.T)


@dataclass(frozen=True)
class _Holt:
    level_gain: float
    slope_gain: float
    damping: float
    level: float
    trend: float
    errors: Values


def _holt(values: Values, level_gain: float, slope_gain: float, damping: float) -> _Holt:
    level, trend = float(values[0]), float(values[1] - values[0])
    errors: list[float] = []
    for value in values[1:]:
        expected = level + damping * trend
        errors.append(float(value) - expected)
        level = expected + level_gain * errors[-1]
        trend = damping * trend + level_gain * slope_gain * errors[-1]
    return _Holt(level_gain, slope_gain, damping, level, trend, np.array(errors[1:]))


def past_differences(case: Case, progress: Progress, checks: int) -> StopSteps | None:
    """Differences between checks, drawn again and shrunk as those of a curve like 1 / t."""
    values, ahead = np.array(case.seen(checks)), case.cadence(checks).checks_ahead
    random = np.random.default_rng([2, checks])
    picked = random.integers(0, checks - 1, (PATHS, ahead))
    shrunk = (picked + 2) / (checks + 1 + np.arange(ahead))
    paths = values[-1] + np.cumsum(np.diff(values)[picked] * shrunk, axis=1)
    return _stops_of(case, progress, checks, paths)


def _stops_of(case: Case, progress: Progress, checks: int, paths: Values) -> StopSteps:
    ends = ends_of(case.rule, progress, paths).checks
    steps = np.where(ends > 0, case.cadence(checks).steps_of(ends), case.max_steps)
    return StopSteps(*interval(steps), 0.0)
