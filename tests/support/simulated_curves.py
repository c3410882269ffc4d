"""Curves of a monitored value that nobody trained: a falling law, what may follow it, and noise.

Parameters are continuous, so none of them lies on the grid of the forecast. `FAMILIES` are those
that the forecast was designed on; `OTHERS` have shapes that it does not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Values = NDArray[np.float64]
Law = Callable[[Values, Generator], Values]

NOISE = (0.002, 0.01, 0.03)
"""standard deviation of a check, as a share of the whole drop"""
OUTLIER_SHARE, OUTLIER_FACTOR = 0.03, 3.0
FALLING = [5.0, 4.0, 3.5, 3.2, 3.05, 2.96, 2.9, 2.87]
"""without noise"""


@dataclass(frozen=True)
class Curve:
    """One curve, and what made it."""

    family: str
    noise: float
    values: Values


def power(t: Values, random: Generator) -> Values:
    """Falls for ever, slower and slower."""
    return (t + random.uniform(0, 3)) ** -random.uniform(0.2, 1.2)


def plateau(t: Values, random: Generator) -> Values:
    """Two exponentials, the slow one small."""
    tau = random.uniform(1, 7)
    return np.exp(-t / tau) + 0.05 * np.exp(-t / (4 * tau))


def overfit(t: Values, random: Generator) -> Values:
    """Falls, and rises from some check on."""
    fall = (t + random.uniform(0, 1.5)) ** -random.uniform(0.5, 1.5)
    late = np.maximum(0, t - random.uniform(2, 20)) ** random.uniform(1, 1.4)
    return fall + random.uniform(0.001, 0.02) * late


def double_descent(t: Values, random: Generator) -> Values:
    """Rises to a hump on its way down."""
    fall = (t + 1) ** -random.uniform(0.3, 0.9)
    middle, width = random.uniform(6, 18), random.uniform(1, 4)
    return fall + random.uniform(0.03, 0.15) * np.exp(-0.5 * ((t - middle) / width) ** 2)


def sigmoid(t: Values, random: Generator) -> Values:
    """Waits, falls, and is flat."""
    return 1 / (1 + np.exp((t - random.uniform(3, 12)) / random.uniform(0.8, 3)))


def two_stages(t: Values, random: Generator) -> Values:
    """A second fall, as after a change of the learning rate."""
    first = np.exp(-t / random.uniform(1, 3))
    second = 1 / (1 + np.exp((t - random.uniform(6, 20)) / random.uniform(0.5, 2)))
    return first + random.uniform(0.1, 0.5) * second


def stretched(t: Values, random: Generator) -> Values:
    """A stretched exponential."""
    return np.exp(-((t / random.uniform(1, 8)) ** random.uniform(0.3, 0.8)))


def wavy(t: Values, random: Generator) -> Values:
    """A power law with a wave on it, as of a cyclic learning rate."""
    wave = np.cos(2 * math.pi * t / random.uniform(5, 12) + random.uniform(0, 2 * math.pi))
    return (t + 1) ** -random.uniform(0.3, 0.9) + random.uniform(0.005, 0.03) * wave


FAMILIES: dict[str, Law] = {
    "power law": power,
    "plateau": plateau,
    "overfitting": overfit,
    "double descent": double_descent,
}
OTHERS: dict[str, Law] = {
    "sigmoid": sigmoid,
    "two stages": two_stages,
    "stretched": stretched,
    "wavy": wavy,
}


def simulate(family: str, checks: int, random: Generator) -> Curve:
    """One curve of so many checks, lower is better."""
    law = (FAMILIES | OTHERS)[family]
    shape = law(np.arange(1.0, checks + 1), random)
    shape = (shape - shape.min()) / np.ptp(shape)
    noise = float(random.choice(NOISE))
    values = shape + noise * _disturbances(checks, random)
    return Curve(family, noise, random.uniform(1, 8) + random.uniform(0.5, 6) * values)


def _disturbances(checks: int, random: Generator) -> Values:
    """Of unit size, each carrying on none or half of the one before; a few are outliers."""
    carried = random.choice([0.0, 0.5])
    found = np.empty(checks)
    found[0] = random.standard_normal()
    for check in range(1, checks):
        size = OUTLIER_FACTOR if random.random() < OUTLIER_SHARE else 1.0
        fresh = math.sqrt(1 - carried**2) * size * random.standard_normal()
        found[check] = carried * found[check - 1] + fresh
    return found


def simulate_many(families: tuple[str, ...], count: int, checks: int, seed: int) -> list[Curve]:
    """The families in turn."""
    random = np.random.default_rng(seed)
    return [simulate(families[n % len(families)], checks, random) for n in range(count)]
