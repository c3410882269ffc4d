"""When early stopping will end a run, forecast from the checks so far.

Paths of the checks to come are drawn from the laws that fit, and the run's own rule is applied to
each of them, from the progress that the run has really made.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fintts_trainer.forecast.regression import Seen, draw_paths
from fintts_trainer.forecast.rule import ends_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from fintts_cost.training.early_stopping import EarlyStopping, Progress
    from fintts_trainer.forecast.arrays import Counts, Values

PATHS = 400
FEWEST_FINITE = 3
"""checks with a finite value; fewer show no curve"""
MOST_REMEMBERED = 200
"""checks; the newest count"""
MOST_AHEAD = 600
"""checks; a path that goes on beyond them counts as one that reaches max_steps, since what is
unknown about money counts upwards"""
LOW_TAIL, HIGH_TAIL = 0.095, 0.085
"""the shares of the paths below P10 and above P90, after FEW_SEEN checks with FEW_AHEAD to go"""
FEW_SEEN, FEW_AHEAD = 8, 30
LEAST_TAIL, MOST_TAIL = 0.005, 0.15
"""After few checks, more runs turn soon than the laws say, and after many, more go on, the more so
the further a path reaches. With these shares, and not with 0.1, the interval holds about 80 %
(`_tails`; tuned on the design seeds of benchmarks/forecast.py)."""


class Cadence(NamedTuple):
    """Where a run is, and when it is checked next, in steps."""

    step: int
    validation_every: int
    max_steps: int

    @property
    def checks_ahead(self) -> int:
        """Checks from now on to max_steps."""
        return max(self.max_steps // self.validation_every - self.step // self.validation_every, 0)

    def steps_of(self, checks: Counts) -> Counts:
        """The steps of checks that are counted from now on."""
        return (self.step // self.validation_every + checks) * self.validation_every


class StopSteps(NamedTuple):
    """The step at which a run ends, by early stopping or at max_steps."""

    low: int
    """P10: one run in ten ends earlier"""
    likely: int
    """P50"""
    high: int
    """P90"""
    improvement: float
    """expected change of the best value until then, at least 0, in its own units"""


def forecast_stop(
    rule: EarlyStopping,
    progress: Progress,
    values: Sequence[float],
    cadence: Cadence,
    *,
    seed: int = 0,
) -> StopSteps | None:
    """The forecast after a check; None if the rule has fired, or too few values are finite.

    Args:
        progress: the rule's state after the last of the values.
        values: the monitored value of each check so far; not all need be finite.
        seed: the same seed gives the same forecast.
    """
    recent = np.array(values[-MOST_REMEMBERED:], dtype=np.float64)
    is_finite = np.isfinite(recent)
    if rule.should_stop(progress) or is_finite.sum() < FEWEST_FINITE:
        return None
    ahead = min(cadence.checks_ahead, MOST_AHEAD)
    if ahead == 0:
        last = cadence.max_steps
        return StopSteps(last, last, last, 0.0)
    random = np.random.default_rng([seed, progress.checks])
    sign = 1.0 if rule.mode == "min" else -1.0
    with np.errstate(all="ignore"):
        seen = Seen.of(np.flatnonzero(is_finite) + 1, sign * recent[is_finite])
        if not math.isfinite(seen.scale):
            return None
        paths = sign * draw_paths(seen, len(recent), len(recent) + ahead, PATHS, random)
    ends = ends_of(rule, progress, _with_gaps(paths, 1 - is_finite.mean(), random))
    steps = np.where(ends.checks > 0, cadence.steps_of(ends.checks), cadence.max_steps)
    tails = _tails(len(recent), ahead)
    return StopSteps(*interval(steps, *tails), _improvement(progress, ends.best))


def _tails(seen: int, ahead: int) -> tuple[float, float]:
    """The shares of the paths below P10, and above P90."""
    low = LOW_TAIL * math.pow(seen / FEW_SEEN, 0.3)
    high = HIGH_TAIL * math.pow(FEW_SEEN / seen, 0.8) * math.pow(FEW_AHEAD / ahead, 0.6)
    return min(low, MOST_TAIL), min(max(high, LEAST_TAIL), MOST_TAIL)


def _with_gaps(paths: Values, share: float, random: Generator) -> Values:
    """The paths with as many values that are not finite as the run has had."""
    return np.where(random.random(paths.shape) < share, np.nan, paths) if share else paths


def _improvement(progress: Progress, best: Values) -> float:
    """The mean change from the best value now."""
    if progress.best_value is None:
        return 0.0
    with np.errstate(over="ignore"):
        changes = np.abs(best - progress.best_value)
    known = changes[np.isfinite(changes)]
    return float((known / len(known)).sum()) if len(known) else 0.0


def interval(steps: Counts, low_tail: float = 0.1, high_tail: float = 0.1) -> tuple[int, int, int]:
    """The quantiles `low_tail`, 0.5 and 1 − `high_tail` of whole numbers.

    Between ordinary quantiles of whole numbers always lies more than the share they are named for.
    So the outer two go by the mid-distribution function P(X < x) + P(X = x) / 2 (Ma, Genton and
    Parzen 2011, Annals of the Institute of Statistical Mathematics 63), which holds it on average.
    """
    found, counts = np.unique(steps, return_counts=True)
    up_to = np.cumsum(counts) / len(steps)
    middle = up_to - counts / 2 / len(steps)
    low = np.searchsorted(middle, low_tail)
    likely = np.searchsorted(up_to, 0.5)
    high = np.searchsorted(middle, 1 - high_tail, side="right") - 1
    return int(found[low]), int(found[likely]), int(found[high])
