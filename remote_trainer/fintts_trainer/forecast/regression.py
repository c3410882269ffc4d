"""Fits every law to the checks so far, and draws paths of the checks to come.

Given a law, a noise level and the share of the noise that is carried from check to check (AR(1)),
a curve is a linear regression with a normal prior, whose posterior and evidence have closed forms
(Bishop 2006, section 3.5). Paths come from all laws, from each as often as it is likely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fintts_trainer.forecast.laws import all_laws

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from fintts_trainer.forecast.arrays import Counts, Values
    from fintts_trainer.forecast.laws import Laws

NOISES = np.geomspace(0.0006, 0.115, 8)
"""standard deviations of a check, in units of the drop so far"""
CARRIED = (0.0, 0.5, 0.9)
"""0.9 is how a curve wanders about a law that is not quite its own"""
LEVEL_SIZE = 1.5
"""of c before the data, in units of the noise: the latest value lies near its law"""
FALL_MEAN, FALL_SIZE = 1.0, 0.3
"""of a before the data: the law has fallen by about the drop seen"""
LEAST_FALL = 0.02
"""of a law's whole fall: one that has not fallen yet cannot be scaled"""
OUTLIER_SHARE, OUTLIER_FACTOR = 0.03, 3.0
CHECKS_TRUSTED, DOUBT = 3, 0.25
"""No law is exactly right, and the checks share what is wrong with it. So the evidence of k checks
counts as that of 3 · (k / 3)^(1 − DOUBT); Grünwald & van Ommen 2017 (Bayesian Analysis 12) explain
such a tempered likelihood."""
CHECKS_OF_UNIT = 30
TRIES = 4
"""draws for each path, since those with a negative fall or rise are dropped"""


class Seen(NamedTuple):
    """The finite checks so far, scaled: lower is better, 0 now, and the drop so far is 1."""

    times: Counts
    """numbers of the checks, from 1, in order"""
    values: Values
    offset: float
    scale: float

    @classmethod
    def of(cls, times: Counts, values: Values) -> Seen:
        """Scales finite values of which lower ones are better."""
        last = float(values[-1])
        # Without a drop, the range takes its place.
        scale = max(float(values[0] - values.min()), float(np.ptp(values)) / 2)
        scale = max(scale, 1e-9 * abs(last), 1e-300)
        return cls(times, (values - last) / scale, last, scale)


class Posterior(NamedTuple):
    """Of (c, a, r): the Cholesky factor L of the precision, and u, where Lᵀ × mean = u."""

    l00: Values
    l10: Values
    l20: Values
    l11: Values
    l21: Values
    l22: Values
    u0: Values
    u1: Values
    u2: Values


class Fit(NamedTuple):
    """A group of laws, fitted for one share of carried noise."""

    falls: Values
    """(falls, checks): 1 at the first check seen, 0 now"""
    lates: Values
    """(lates, checks): 0 now"""
    sizes: Values
    carried: float
    log_weights: Values
    """(noises × falls × lates): prior and tempered evidence"""
    posterior: Posterior
    """each of the same length"""


class Draws(NamedTuple):
    """Curves from the posterior, without noise."""

    curves: Values
    """(draws, checks to come)"""
    residuals: Values
    """(draws): how far the latest value lies from its law"""
    noises: Values
    carried: Values
    is_valid: NDArray[np.bool_]
    """whether neither the fall nor what comes later has the wrong sign"""


def draw_paths(seen: Seen, now: int, checks: int, count: int, random: Generator) -> Values:
    """(count, checks − now): values of the checks after check `now`, in the curve's own units.

    Args:
        now: the number of the latest check, which may not be finite.
        checks: the number of the last check that a path needs.
    """
    laws = all_laws(checks, max(1.0, now / CHECKS_OF_UNIT))
    fits = [_fit(seen, each, carried) for each in laws for carried in CARRIED]
    highest = max(float(fit.log_weights.max()) for fit in fits)
    weights = [np.exp(fit.log_weights - highest) for fit in fits]
    totals = np.array([each.sum() for each in weights])
    numbers = random.multinomial(TRIES * count, totals / totals.sum())
    drawn = [
        _draw(fit, weight, int(number), now, random)
        for fit, weight, number in zip(fits, weights, numbers, strict=True)
        if number
    ]
    is_valid = np.concatenate([each.is_valid for each in drawn])
    shuffled = random.permutation(TRIES * count)
    chosen = shuffled[np.argsort(~is_valid[shuffled], kind="stable")][:count]
    kept = Draws(
        np.concatenate([each.curves for each in drawn])[chosen],
        np.concatenate([each.residuals for each in drawn])[chosen],
        np.concatenate([each.noises for each in drawn])[chosen],
        np.concatenate([each.carried for each in drawn])[chosen],
        is_valid[chosen],
    )
    return seen.offset + seen.scale * _with_noise(kept, now - int(seen.times[-1]), random)


def _fit(seen: Seen, laws: Laws, carried: float) -> Fit:
    """The posterior and the evidence of each noise, fall and late law."""
    places, last = seen.times - 1, seen.times[-1] - 1
    heights = laws.falls[:, places[0]] - laws.falls[:, last]
    usable = heights > LEAST_FALL * laws.falls[:, 0]
    if not usable.any():
        usable[:] = True
        heights = np.maximum(heights, LEAST_FALL)
    falls = (laws.falls - laws.falls[:, last, None])[usable] / heights[usable, None]
    lates = laws.lates - laws.lates[:, last, None]
    one, values = (
        _whitened(each, seen.times, carried) for each in (np.ones(len(places)), seen.values)
    )
    fall, late = (_whitened(each[:, places], seen.times, carried) for each in (falls, lates))
    # Axes from here on: noises, falls, lates.
    variance = NOISES[:, None, None] ** 2
    has_late = laws.sizes > 0
    sizes = np.where(has_late, laws.sizes, 1.0)
    posterior = _solve(
        c_c=(one @ one + LEVEL_SIZE**-2) / variance,
        c_a=(fall @ one)[:, None] / variance,
        c_r=(late @ one) / variance,
        a_a=(fall * fall).sum(1)[:, None] / variance + FALL_SIZE**-2,
        a_r=(fall @ late.T) / variance,
        r_r=(late * late).sum(1) / variance + sizes**-2,
        c_y=(one @ values) / variance,
        a_y=(fall @ values)[:, None] / variance + FALL_MEAN * FALL_SIZE**-2,
        r_y=(late @ values) / variance,
    )
    evidence = _evidence(posterior, len(values), variance, float(values @ values), sizes)
    doubt = (CHECKS_TRUSTED / max(len(values), CHECKS_TRUSTED)) ** DOUBT
    prior = np.log(laws.share / len(CARRIED) / len(falls) / len(lates))
    evidence = evidence + 0.5 * np.log(1 - carried**2)
    shape = evidence.shape
    flat = Posterior(*(np.broadcast_to(part, shape).ravel() for part in posterior))
    return Fit(falls, lates, laws.sizes, carried, (prior + doubt * evidence).ravel(), flat)


def _whitened(rows: Values, times: Counts, carried: float) -> Values:
    """Rows (…, checks) in which AR(1) noise has become independent, with the variance of its
    innovations. A gap between two checks carries less."""
    share = carried ** np.diff(times)
    scale = np.sqrt((1 - carried**2) / (1 - share**2))
    whitened: Values = np.empty_like(rows)
    whitened[..., 0] = rows[..., 0] * np.sqrt(1 - carried**2)
    whitened[..., 1:] = (rows[..., 1:] - share * rows[..., :-1]) * scale
    return whitened


def _solve(
    *,
    c_c: Values,
    c_a: Values,
    c_r: Values,
    a_a: Values,
    a_r: Values,
    r_r: Values,
    c_y: Values,
    a_y: Values,
    r_y: Values,
) -> Posterior:
    """The Cholesky factor of a 3 × 3 precision and L⁻¹ y, for all elements at once."""
    l00 = np.sqrt(c_c)
    l10, l20 = c_a / l00, c_r / l00
    l11 = np.sqrt(a_a - l10**2)
    l21 = (a_r - l20 * l10) / l11
    l22 = np.sqrt(r_r - l20**2 - l21**2)
    u0 = c_y / l00
    u1 = (a_y - l10 * u0) / l11
    u2 = (r_y - l20 * u0 - l21 * u1) / l22
    return Posterior(l00, l10, l20, l11, l21, l22, u0, u1, u2)


def _evidence(
    posterior: Posterior, count: int, variance: Values, squares: float, sizes: Values
) -> Values:
    """The logarithm of the marginal likelihood, up to a constant."""
    log_det = 2 * np.log(posterior.l00 * posterior.l11 * posterior.l22)
    log_prior_det = -np.log(variance) - 2 * np.log(sizes)
    explained = posterior.u0**2 + posterior.u1**2 + posterior.u2**2
    misfit: Values = count * np.log(variance) + squares / variance - explained
    evidence: Values = -0.5 * (misfit + log_det - log_prior_det)
    return evidence


def _draw(fit: Fit, weights: Values, number: int, now: int, random: Generator) -> Draws:
    """Curves of the group; those with a negative fall or rise are left out."""
    # Systematic sampling: as often as the weights say, within one.
    marks = (np.arange(number) + random.random()) / number
    edges = np.cumsum(weights)
    picked = np.minimum(np.searchsorted(edges, marks * edges[-1]), len(weights) - 1)
    at = Posterior(*(part[picked] for part in fit.posterior))
    noise_of, law = np.divmod(picked, len(fit.falls) * len(fit.lates))
    fall_of, late_of = np.divmod(law, len(fit.lates))
    has_late = fit.sizes[late_of] > 0
    random_c, random_a, random_r = random.standard_normal((3, number))
    r = (at.u2 + random_r) / at.l22
    a = (at.u1 + random_a - at.l21 * r) / at.l11
    c = (at.u0 + random_c - at.l10 * a - at.l20 * r) / at.l00
    is_valid = (a > 0) & ((r > 0) | ~has_late)
    a, r = np.maximum(a, 0), np.where(has_late, np.maximum(r, 0), 0.0)
    fall, late = fit.falls[fall_of, now:], fit.lates[late_of, now:]
    curves = c[:, None] + a[:, None] * fall + r[:, None] * late
    return Draws(curves, -c, NOISES[noise_of], np.full(number, fit.carried), is_valid)


def _with_noise(draws: Draws, gap: int, random: Generator) -> Values:
    """The curves with AR(1) noise that carries the last residual on, and a few outliers.

    Args:
        gap: checks since the last finite one.
    """
    count, checks = draws.curves.shape
    is_outlier = random.random((checks, count)) < OUTLIER_SHARE
    shocks = random.standard_normal((checks, count)) * np.where(is_outlier, OUTLIER_FACTOR, 1.0)
    residual = draws.residuals * draws.carried**gap
    paths = np.empty((checks, count))
    for check, shock in enumerate(shocks):
        residual = draws.carried * residual + draws.noises * shock
        paths[check] = draws.curves[:, check] + residual
    return paths.T
