"""Which samples each step reads: a pure function of seed, epoch and position.

A run that is resumed needs no state to go on with the same samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fintts_cost.schedule import Schedule

Samples: TypeAlias = npt.NDArray[np.int64]
"""Numbers of samples, or one number of each of them."""

WINDOW_STEPS = 50
"""Sorted by length within so many steps, 1 to 2 % of what is computed is padding."""
FEWEST_WINDOWS = 4
"""An epoch has at least so many: one alone would put the same samples together each time."""


def order_of_epoch(seed: int, epoch: int, samples: int) -> Samples:
    """The permutation of 0 … samples - 1 in which an epoch goes through the training set."""
    return _generator(seed, epoch).permutation(samples)


def bucketed_order_of_epoch(seed: int, epoch: int, lengths: Samples, step_size: int) -> Samples:
    """The same, with samples of like length in each step of `step_size`.

    The shuffled epoch is cut into windows; each window is sorted by length and cut into steps, and
    the steps are shuffled. What is left for a smaller step at the end of the epoch stays unsorted.
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
    """The samples of every step of a schedule; the epoch asked for last is remembered."""

    def __init__(self, schedule: Schedule, seed: int, lengths: Samples | None = None) -> None:
        """With the `lengths` of the samples, each step reads samples of like length."""
        self.schedule, self._seed, self._lengths = schedule, seed, lengths
        self._epoch = -1
        self._order: Samples = np.zeros(0, dtype=np.int64)

    def samples_of_step(self, step: int) -> Samples:
        """Which samples the step after `step` finished ones reads; the last of an epoch may be
        fewer than the others."""
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

    They are dealt like cards, so that lengths, which are in order within a step, spread evenly.
    Whatever the number of processes, their shares together are the step's samples, each once:
    which samples a step learns from is exact when a run goes on with another number of processes.
    Its loss and gradient are then the same sums in another order: equal within the rounding of
    floating-point numbers, and not bit for bit. A share is empty where there are more processes
    than samples; such a process still has to take part in adding up the gradient.
    """
    return samples[rank::world]
