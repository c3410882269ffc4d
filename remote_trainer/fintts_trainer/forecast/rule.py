"""The early-stopping rule over many paths at once.

`fintts_cost.training.early_stopping` decides when a run stops. It takes one value at a time,
which is too slow for some hundred paths; this is the same rule in numpy, and a property test
compares the two on random curves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fintts_cost.training.early_stopping import EarlyStopping, Progress
    from fintts_trainer.forecast.arrays import Counts, Values


class Ends(NamedTuple):
    """Where each path ends."""

    checks: Counts
    """(paths): checks from now on until the rule fires; 0 if it does not within the path"""
    best: Values
    """(paths): the best value when the path ends; NaN without a finite one"""


def ends_of(rule: EarlyStopping, progress: Progress, paths: Values) -> Ends:
    """Applies the rule to each path.

    Args:
        progress: the rule's state before the paths begin; it must not have fired.
        paths: (paths, checks), values of the checks to come; not finite ones are allowed.
    """
    sign = 1.0 if rule.mode == "min" else -1.0
    values = np.where(np.isfinite(paths), sign * paths, np.inf)
    counted = _start(sign, progress.counted_value, len(paths))
    best = _start(sign, progress.best_value, len(paths))
    waiting = np.full(len(paths), progress.checks_without_improvement)
    fired = np.zeros(len(paths), dtype=np.int64)
    for check, value in enumerate(values.T, 1):
        is_open = fired == 0
        best = np.where(is_open, np.minimum(best, value), best)
        improves = _gain(counted, value) > rule.min_delta
        counted = np.where(improves, value, counted)
        waiting = np.where(improves, 0, waiting + 1)
        fired[is_open & (waiting >= rule.patience)] = check
        if fired.all():
            break
    return Ends(fired, np.where(np.isfinite(best), sign * best, np.nan))


def _start(sign: float, value: float | None, count: int) -> Values:
    return np.full(count, np.inf if value is None else sign * value)


def _gain(counted: Values, value: Values) -> Values:
    """How much lower the value is; 0 for one that is not finite, which improves on nothing."""
    gain = np.zeros_like(value)
    with np.errstate(over="ignore"):
        return np.subtract(counted, value, out=gain, where=np.isfinite(value))
