"""How far a run gets before its deadline, and how long a healthy run may take. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cost.money import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cost.estimate.inputs import EstimateInput
    from fintts_cost.estimate.result import Estimate

SPARE_SHARE, SHARE_WITH_BUDGET = Decimal("1.5"), Decimal(3)
SPARE_SECONDS = Decimal(600)
"""A run gets 1.5 times its worst case and ten minutes. With a budget it gets three times, if the
budget buys as much: you have agreed to spend it, and a run that is slower than forecast can end."""
LAST_SAVE_SECONDS = Decimal(87)
"""The trainer's reserve before its deadline until it has measured an upload: 1.2 × 60 s, and 15 s
for the result."""
LAST_SAVE_SHARE = Decimal("0.1")
"""of a time too short for these seconds"""
LONGEST_SECONDS = Decimal(3650 * 24 * SECONDS_PER_HOUR)
"""Ten years: the latest deadline."""


def generous_seconds(given: EstimateInput, *, has_budget: bool = False) -> Decimal:
    """The most that a healthy run needs, and a margin."""
    slow, share = given.at_slow_end, SHARE_WITH_BUDGET if has_budget else SPARE_SHARE
    worst = slow.durations(slow.max_steps).total_seconds
    return min(worst * share + SPARE_SECONDS, LONGEST_SECONDS)


def usable_seconds(run_seconds: Decimal) -> Decimal:
    """The time until the deadline, less the trainer's reserve for its last save."""
    return run_seconds - min(LAST_SAVE_SECONDS, LAST_SAVE_SHARE * max(run_seconds, Decimal(0)))


def with_last_save(seconds: Decimal) -> Decimal:
    """The time until the deadline that leaves so many usable seconds."""
    return min(seconds + LAST_SAVE_SECONDS, seconds / (1 - LAST_SAVE_SHARE))


def seconds_to(given: EstimateInput, step: int, done: int = 0) -> Decimal:
    """Seconds from the request of the instance to the end of this step, resuming from `done`. A
    resumed run may speak at its start again, if its sentences are new."""
    start = given.durations(0)
    before_first_step = start.total_seconds - start.teardown_seconds
    more = given.durations(step).total_seconds - given.durations(done).total_seconds
    return before_first_step + more


def last_step_before(given: EstimateInput, run_seconds: Decimal, done: int = 0) -> int:
    """The last step finished and saved before the deadline; `done` if there is none."""
    usable = usable_seconds(run_seconds)
    return _highest(done, given.max_steps, lambda step: seconds_to(given, step, done) <= usable)


def cut_at_step(given: EstimateInput, run_seconds: Decimal, done: int = 0) -> int | None:
    """The step where the deadline ends the run; None if the run finishes before it."""
    last = last_step_before(given, run_seconds, min(done, given.max_steps))
    return None if last >= given.max_steps else last


def last_step_within(estimate: Estimate, seconds: Decimal) -> int:
    """The last step whose bill fits into these seconds; 0 if not even the set-up does."""
    given = estimate.given
    return _highest(0, given.max_steps, lambda step: given.durations(step).total_seconds <= seconds)


def _highest(low: int, high: int, is_within: Callable[[int], bool]) -> int:
    """The highest step within a limit that all higher steps exceed; `low` if there is none."""
    while low < high:
        middle = (low + high + 1) // 2
        if is_within(middle):
            low = middle
        else:
            high = middle - 1
    return low
