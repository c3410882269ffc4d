"""What preemptions add to a spot run, and how often it should save.

Each preemption repeats the steps since the last checkpoint, half an interval on average, and the
set-up of another instance; both are billed. Until another instance is available, nothing is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.interval import Interval
from fintts_cost.money import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from fintts_cost.estimate.inputs import EstimateInput

PREEMPTIONS_PER_HOUR = Interval(0.005, 0.05, 0.15)
PREEMPTIONS_SOURCE = "an assumption, since no cloud publishes how often it takes a GPU away"
"""AWS's Spot Instance Advisor (2026-02) gives the share of instances that were taken away within a
month: 5 to 10 % for A100, 15 to 20 % for H100. Guides expect 5 to 15 % an hour of a GPU that is in
demand."""
WAITING_SECONDS = Interval(60.0, 600.0, 3600.0)
"""until another instance is available: an assumption"""
MOST_SHARE = 0.9
"""A run that loses more of its time than this to preemptions never ends, for any practical
purpose."""

SAVE_SECONDS = 0.2
"""A save of 103 MB keeps training waiting 0.17 s (benchmarks/save.py)."""
FAR_OFF = 4.0
"""A checkpoint interval this many times above or below the best one is worth a sentence."""


class Interruption(NamedTuple):
    """What one preemption costs."""

    rework_seconds: float
    setup_seconds: float
    waiting_seconds: float
    """not billed"""


class Expected(NamedTuple):
    """A run with its preemptions."""

    seconds: float
    billed_seconds: float
    preemptions: float


def with_preemptions(seconds: float, per_second: float, each: Interruption) -> Expected:
    """The expected time of a run that takes so many seconds without preemptions.

    Args:
        per_second: preemptions in a second of an instance.
    """
    lost = min(per_second * (each.rework_seconds + each.setup_seconds), MOST_SHARE)
    billed = seconds / (1 - lost)
    preemptions = per_second * billed
    return Expected(billed + preemptions * each.waiting_seconds, billed, preemptions)


def best_interval_seconds(save_seconds: float, per_second: float) -> float:
    """The seconds of training between two saves that lose least: √(2 × save × time between
    preemptions) (Young 1974, Communications of the ACM 17; Daly 2006 refines it for long saves)."""
    return math.sqrt(2 * save_seconds / per_second)


def best_checkpoint_every(given: EstimateInput) -> int:
    """The steps between two saves that lose least of a spot run, at least 1."""
    save = max(float(given.checkpoint_seconds), SAVE_SECONDS)
    seconds = best_interval_seconds(save, PREEMPTIONS_PER_HOUR.likely / SECONDS_PER_HOUR)
    steps = max(round(seconds / float(given.seconds_per_step)), 1)
    return min(steps, given.max_steps)


def interval_remark(given: EstimateInput) -> str | None:
    """A sentence on checkpoints that are far too rare or too frequent for a spot run."""
    best, every = best_checkpoint_every(given), given.checkpoint_every
    if best / FAR_OFF <= min(every, given.max_steps) <= best * FAR_OFF:
        return None
    rare = every > best
    why = (
        "a preemption repeats the steps since the last save"
        if rare
        else "each save keeps training waiting"
    )
    return (
        f"checkpoints.every is {every:,} steps; about {best:,} would lose least on spot, since "
        f"{why}"
    )
