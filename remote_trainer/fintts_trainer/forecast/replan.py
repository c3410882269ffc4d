"""The time of the rest of a run, forecast from some measured steps and the data still to come.

The order of the data is known, so the steps to come have known numbers of tokens. Steps in a row
are alike (the machine is busy for a while, buckets of one length follow each other), so the
interval comes from a bootstrap of blocks of steps (Künsch 1989, Annals of Statistics 17).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fintts_cost.interval import Interval

if TYPE_CHECKING:
    from numpy.random import Generator

    from fintts_trainer.forecast.arrays import Values

BLOCK = 4
"""steps"""
RESAMPLES = 400
TAIL = 0.1
DRIFT = 0.05
"""standard deviation of the pace of the rest of a run from that of its first steps, beyond what
these show. An assumption for a machine that does nothing else; on one that other programs share,
the pace may double (benchmarks/replan.py)."""
UNMEASURED_SPREAD = 0.3
"""of a check or save, as a share, while a single one is measured"""


@dataclass(frozen=True)
class Measured:
    """What a process has measured of its run."""

    tokens: Values
    """of each step"""
    seconds: Values
    """of each step"""
    checks: Values
    """seconds of each validation check; may be empty"""
    saves: Values
    """seconds that each save kept training waiting; may be empty"""


@dataclass(frozen=True)
class Ahead:
    """What the rest of the run holds."""

    tokens: Values
    """of each step to come"""
    has_check: Values
    """1 for each step to come that a check follows, else 0"""
    has_save: Values


class Rest(NamedTuple):
    """The forecast."""

    seconds_per_token: Interval
    seconds_left: Interval
    by_phase: dict[str, Interval]
    """seconds left of training, validation and saves, by the names of the phases"""
    likely_seconds: Values
    """from now to the end of each step to come, with its check and save"""


def forecast_rest(measured: Measured, ahead: Ahead, seed: int) -> Rest:
    """The time of all steps to come, with their checks and saves."""
    random = np.random.default_rng([seed, len(measured.tokens)])
    pace = float(measured.seconds.sum() / measured.tokens.sum())
    paces = _resampled_paces(measured, random) * random.normal(1.0, DRIFT, RESAMPLES)
    check, checks = _mean_and_draws(measured.checks, random)
    save, saves = _mean_and_draws(measured.saves, random)
    count = ahead.tokens.sum(), ahead.has_check.sum(), ahead.has_save.sum()
    parts = {
        "training": (paces * count[0], pace * count[0]),
        "validation": (checks * count[1], check * count[1]),
        "checkpoint": (saves * count[2], save * count[2]),
    }
    totals: Values = np.sum([draws for draws, _ in parts.values()], axis=0)
    each = pace * ahead.tokens + check * ahead.has_check + save * ahead.has_save
    return Rest(
        seconds_per_token=_range(paces, pace),
        seconds_left=_range(totals, float(each.sum())),
        by_phase={phase: _range(draws, float(likely)) for phase, (draws, likely) in parts.items()},
        likely_seconds=np.cumsum(each),
    )


def _resampled_paces(measured: Measured, random: Generator) -> Values:
    """Paces of resampled blocks of steps; after the last step a block goes on with the first."""
    count = len(measured.tokens)
    block = min(BLOCK, count)
    starts = random.integers(0, count, (RESAMPLES, -(-count // block)))
    drawn = (starts[:, :, None] + np.arange(block)) % count
    drawn = drawn.reshape(RESAMPLES, -1)
    paces: Values = measured.seconds[drawn].sum(1) / measured.tokens[drawn].sum(1)
    return paces


def _mean_and_draws(seconds: Values, random: Generator) -> tuple[float, Values]:
    """The mean, and means of resampled values; 0 if nothing is measured."""
    if len(seconds) == 0:
        return 0.0, np.zeros(RESAMPLES)
    mean = float(seconds.mean())
    if len(seconds) == 1:
        return mean, mean * np.maximum(random.normal(1.0, UNMEASURED_SPREAD, RESAMPLES), 0.0)
    drawn = random.integers(0, len(seconds), (RESAMPLES, len(seconds)))
    means: Values = seconds[drawn].mean(1)
    return mean, means


def _range(draws: Values, likely: float) -> Interval:
    """The quantiles of the draws around the value that was measured."""
    low, high = np.quantile(draws, (TAIL, 1 - TAIL))
    return Interval(min(float(low), likely), likely, max(float(high), likely))
