"""The laws that a curve may follow: how it falls, and what may come on top of that.

A curve is c + a · fall(t) + r · late(t) and noise, with t in checks from 1. Domhan et al. 2015
(IJCAI) forecast learning curves with a mixture of such laws. Here the shape of each law lies on a
grid, so that only c, a and r are left, which is a linear regression.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fintts_trainer.forecast.arrays import Values

POWERS = (0.2, 0.4, 0.7, 1.1, 1.7)
POWER_OFFSETS = (0.0, 1.0, 3.0)
DECAYS = (0.7, 1.5, 3.0, 6.0, 12.0, 24.0)
"""checks in which an exponential falls to 1/e"""
TAILED_DECAYS = (1.0, 1.7, 2.8, 4.2, 6.5)
TAIL_SHARE, TAIL_LENGTH = 0.05, 4.0
SIGMOIDS = (3.0, 5.0, 7.0, 9.0, 11.0, 13.0)
SIGMOID_WIDTHS = (0.8, 1.5, 2.8)

RISES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 25, 32, 42)
RISE_POWERS = (1.0, 1.3)
HUMPS = (*np.arange(4, 19, 0.75).tolist(), 20, 22, 25, 29)
HUMP_WIDTHS = (1.1, 1.7, 2.6, 4.0)
SECOND_FALLS = (4, 5.5, 7, 9, 11, 13, 15, 17, 20, 24, 28)
SECOND_FALL_WIDTHS = (0.7, 2.0)

FAR = 100.0
"""where a straight line would reach 0; only its direction counts"""


class Laws(NamedTuple):
    """Every pair of a fall and something later."""

    share: float
    """of all laws, before the data"""
    falls: Values
    """(falls, checks)"""
    lates: Values
    """(lates, checks)"""
    sizes: Values
    """(lates): the standard deviation of r before the data, in units of the drop so far; 0 where
    nothing comes later"""


def all_laws(checks: int, unit: float) -> tuple[Laws, ...]:
    """The laws over the whole run.

    Args:
        checks: of the whole run.
        unit: checks that count as one; above 1 for a run that has been checked often.
    """
    t = 1 + np.arange(checks) / unit
    powers = [(t + offset) ** -power for power, offset in product(POWERS, POWER_OFFSETS)]
    decays = [_decay(t, decay) for decay in DECAYS]
    tailed = [
        _decay(t, decay) + TAIL_SHARE * _decay(t, TAIL_LENGTH * decay) for decay in TAILED_DECAYS
    ]
    sigmoids = [_sigmoid(t, at, width) for at, width in product(SIGMOIDS, SIGMOID_WIDTHS)]
    rises = [np.maximum(0, t - onset) ** power for onset, power in product(RISES, RISE_POWERS)]
    humps = [np.exp(-0.5 * ((t - at) / width) ** 2) for at, width in product(HUMPS, HUMP_WIDTHS)]
    seconds = [_sigmoid(t, at, w) for at, w in product(SECOND_FALLS, SECOND_FALL_WIDTHS)]
    nothing = [np.zeros(checks)]
    falls = [1 - t / FAR, *powers, *decays, *tailed]
    return (
        _laws(0.34, falls, nothing, (0.0,)),
        _laws(0.05, sigmoids, nothing, (0.0,)),
        _laws(0.26, falls, rises, (0.02, 0.12)),
        _laws(0.31, falls, humps, (0.3,)),
        _laws(0.04, falls, seconds, (0.3,)),
    )


def _laws(share: float, falls: list[Values], lates: list[Values], sizes: tuple[float, ...]) -> Laws:
    shapes = np.tile(np.array(lates), (len(sizes), 1))
    return Laws(share, np.array(falls), shapes, np.repeat(sizes, len(lates)))


def _decay(t: Values, decay: float) -> Values:
    return np.exp(-(t - 1) / decay)


def _sigmoid(t: Values, at: float, width: float) -> Values:
    """Falls from 1 to 0 around `at`."""
    return 1 / (1 + np.exp(np.clip((t - at) / width, -50, 50)))
