"""Which samples each step reads: a pure function of seed, epoch and position.

A resumed run needs no state to continue with the same samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fintts_cost.training.schedule import Schedule

Samples: TypeAlias = npt.NDArray[np.int64]
"""Sample numbers, or one value for each sample."""

WINDOW_STEPS = 50
"""Sorting by length within so many steps leaves 1 to 2 % of the computed positions as padding."""
FEWEST_WINDOWS = 4
"""Windows per epoch at least: a single one would group the same samples in every epoch."""


def order_of_epoch(seed: int, epoch: int, samples: int) -> Samples:
    """The permutation of 0 … samples - 1 that an epoch follows."""
    return _generator(seed, epoch).permutation(samples)


def bucketed_order_of_epoch(seed: int, epoch: int, lengths: Samples, step_size: int) -> Samples:
    """The same, with samples of similar length in each step of `step_size`.

    The shuffled epoch is cut into windows; each window is sorted by length and cut into steps, and
    the steps are shuffled. The smaller step at the end of the epoch stays unsorted.
    """
    order = order_of_epoch(seed, epoch, len(lengths))
    steps = len(order) // step_size
    window_steps = min(WINDOW_STEPS, max(1, steps // FEWEST_WINDOWS))
    whole, rest = np.split(order, [steps * step_size])
    windows = np.arange(len(whole)) // (window_steps * step_size)
    in_windows = whole[np.lexsort((lengths[whole], windows))]
    shuffled = _generator(seed, epoch, 1).permutation(steps)
    return np.concatenate([in_windows.reshape(steps, step_size)[shuffled].ravel(), rest])


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


class Order:
    """The samples of every step of a schedule; caches the last epoch."""

    def __init__(self, schedule: Schedule, seed: int, lengths: Samples | None = None) -> None:
        """Given the samples' `lengths`, each step reads samples of similar length."""
        self.schedule, self._seed, self._lengths = schedule, seed, lengths
        self._epoch = -1
        self._order: Samples = np.zeros(0, dtype=np.int64)

    def samples_of_step(self, step: int) -> Samples:
        """The samples of the step after `step` finished ones; the last step of an epoch may have
        fewer."""
        epoch, step_in_epoch = self.schedule.position(step)
        if epoch != self._epoch:
            self._order, self._epoch = self._order_of(epoch), epoch
        start = step_in_epoch * self.schedule.samples_per_step
        return self._order[start : start + self.schedule.samples_per_step]

    def _order_of(self, epoch: int) -> Samples:
        if self._lengths is None:
            return order_of_epoch(self._seed, epoch, self.schedule.samples)
        return bucketed_order_of_epoch(
            self._seed, epoch, self._lengths, self.schedule.samples_per_step
        )


def share_of_step(samples: Samples, rank: int, world: int) -> Samples:
    """The samples of a step that process `rank` of `world` reads.

    Process `rank` takes every `world`-th sample, which spreads the sorted lengths evenly. For any
    number of processes, the shares together hold each of the step's samples once, so a run that
    resumes with another number learns from the same samples in each step. Its loss and gradient
    are then the same sums in another order: equal within floating-point rounding, not bit for
    bit. With more processes than samples some shares are empty; those processes still take part
    in adding up the gradient.
    """
    return samples[rank::world]
