"""The time of the rest of a run, forecast from some measured steps and the data still to come.

The order of the data is known, so the steps to come have known numbers of tokens. A step takes some
time of its own, such as for launching kernels, and some for each token: a straight line, fitted by
least squares, neither of whose coefficients is negative. Steps in a row are alike (the machine is
busy for a while, buckets of one length follow each other), so the interval comes from a bootstrap
of blocks of steps (Künsch 1989, Annals of Statistics 17).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fintts_cost.interval import Interval

if TYPE_CHECKING:
    from numpy.random import Generator

    from fintts_trainer.forecast.arrays import Counts, Values

BLOCK = 4
"""steps"""
RESAMPLES = 400
TAIL = 0.1
LEAST_DRIFT = 0.05
"""standard deviation of the pace of the rest of a run from that of its first steps, as a share: an
assumption for a machine that does nothing else"""
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
    line = fitted(measured.tokens, measured.seconds)
    drawn = _resampled_steps(len(measured.tokens), random)
    lines = fitted(measured.tokens[drawn], measured.seconds[drawn])
    drifts = _drifts(measured, line, len(ahead.tokens), random)
    paces = measured.seconds[drawn].sum(1) / measured.tokens[drawn].sum(1) * drifts
    check, checks = _mean_and_draws(measured.checks, random)
    save, saves = _mean_and_draws(measured.saves, random)
    steps, tokens = len(ahead.tokens), ahead.tokens.sum()
    count = steps, ahead.has_check.sum(), ahead.has_save.sum()
    parts = {
        "training": (lines.total(steps, tokens) * drifts, line.total(steps, tokens)),
        "validation": (checks * count[1], check * count[1]),
        "checkpoint": (saves * count[2], save * count[2]),
    }
    totals: Values = np.sum([draws for draws, _ in parts.values()], axis=0)
    each = line.total(1, ahead.tokens) + check * ahead.has_check + save * ahead.has_save
    return Rest(
        seconds_per_token=_range(paces, pace),
        seconds_left=_range(totals, float(each.sum())),
        by_phase={phase: _range(draws, float(likely)) for phase, (draws, likely) in parts.items()},
        likely_seconds=np.cumsum(each),
    )


class Line(NamedTuple):
    """The time of steps as a function of their tokens; the fields may be arrays, of a line each."""

    seconds_per_step: Values
    seconds_per_token: Values

    def total(self, steps: int, tokens: Values) -> Values:
        """Seconds of this many steps with this many tokens in all."""
        total: Values = steps * self.seconds_per_step + tokens * self.seconds_per_token
        return total


def fitted(tokens: Values, seconds: Values) -> Line:
    """The line through steps along the last axis; through 0 if the steps are all alike."""
    of_tokens, of_seconds = tokens.mean(-1), seconds.mean(-1)
    around = tokens - of_tokens[..., None]
    spread = (around**2).sum(-1)
    steepest = of_seconds / of_tokens
    slope = np.where(
        spread > 0,
        (around * seconds).sum(-1) / np.where(spread > 0, spread, 1.0),
        steepest,
    )
    slope = np.clip(slope, 0.0, steepest)
    return Line(of_seconds - slope * of_tokens, slope)


def _drifts(measured: Measured, line: Line, steps_ahead: int, random: Generator) -> Values:
    """Draws of the pace of the rest of the run, in units of that of its first steps.

    A machine that other programs share has 1/f noise: each doubling of the time adds the same
    variance. The blocks of the first steps show that of the doublings from a block to all of them;
    from there to the end of the run come those that the rest adds.
    """
    count = len(measured.seconds) // BLOCK
    if count < 2:
        return np.maximum(random.normal(1.0, LEAST_DRIFT, RESAMPLES), 0.0)
    off = measured.seconds - line.total(1, measured.tokens)
    blocks = off[: count * BLOCK].reshape(-1, BLOCK).mean(1)
    more = math.log(1 + steps_ahead / len(measured.seconds)) / math.log(count)
    spread = blocks.std(ddof=1) / measured.seconds.mean() * math.sqrt(more)
    draws = max(LEAST_DRIFT, float(spread)) * random.standard_normal(RESAMPLES)
    return np.maximum(1.0 + draws, 0.0)


def _resampled_steps(count: int, random: Generator) -> Counts:
    """The places of steps in resampled blocks; after the last step a block goes on with the
    first."""
    block = min(BLOCK, count)
    starts = random.integers(0, count, (RESAMPLES, -(-count // block)))
    drawn = (starts[:, :, None] + np.arange(block)) % count
    places: Counts = drawn.reshape(RESAMPLES, -1)
    return places


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
