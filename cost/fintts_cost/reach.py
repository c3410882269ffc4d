"""How far a run gets before its deadline, and how much time a healthy one may need. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cost.checks import exact
from fintts_cost.money import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cost.estimate import Estimate, EstimateInput

SPARE_SHARE = Decimal("1.5")
SPARE_SECONDS = Decimal(600)
"""A run gets half as long again as in its worst case, and ten minutes, unless a budget ends it."""
LAST_SAVE_SECONDS = Decimal(87)
"""What the trainer keeps free before its deadline until it has measured an upload: 1.2 × 60 s, and
15 s for the result."""
LAST_SAVE_SHARE = Decimal("0.1")
"""of a time so short that these seconds would eat it"""
LONGEST_SECONDS = Decimal(3650 * 24 * SECONDS_PER_HOUR)
"""Ten years: a later deadline is none."""


def generous_seconds(given: EstimateInput) -> Decimal:
    """What a healthy run needs at the most, and some more."""
    slow = given.at_slow_end
    worst = slow.durations(slow.max_steps).total_seconds
    return min(worst * SPARE_SHARE + SPARE_SECONDS, LONGEST_SECONDS)


def usable_seconds(run_seconds: Decimal) -> Decimal:
    """Of the time until the deadline, without what the trainer keeps free for its last save."""
    return run_seconds - min(LAST_SAVE_SECONDS, LAST_SAVE_SHARE * max(run_seconds, Decimal(0)))


def with_last_save(seconds: Decimal) -> Decimal:
    """The time until a deadline of which so much is usable."""
    return min(seconds + LAST_SAVE_SECONDS, seconds / (1 - LAST_SAVE_SHARE))


def seconds_to(given: EstimateInput, step: int, done: int = 0) -> Decimal:
    """From asking for the instance to the end of this step, for a run that goes on from `done`."""
    before = given.durations(done).total_seconds
    return exact(given.setup_seconds) + given.durations(step).total_seconds - before


def last_step_before(given: EstimateInput, run_seconds: Decimal, done: int = 0) -> int:
    """The last step that is done and saved before the deadline; `done` when none is."""
    usable = usable_seconds(run_seconds)
    return _highest(done, given.max_steps, lambda step: seconds_to(given, step, done) <= usable)


def cut_at_step(given: EstimateInput, run_seconds: Decimal, done: int = 0) -> int | None:
    """Where the deadline ends a run that does not stop sooner; None where it does not."""
    last = last_step_before(given, run_seconds, min(done, given.max_steps))
    return None if last >= given.max_steps else last


def last_step_within(estimate: Estimate, seconds: Decimal) -> int:
    """The last step whose bill fits into so many seconds; 0 when not even the set-up does."""
    given = estimate.given
    return _highest(0, given.max_steps, lambda step: given.durations(step).total_seconds <= seconds)


def _highest(low: int, high: int, is_within: Callable[[int], bool]) -> int:
    """The highest step that is within a limit, if steps above it are not; `low` when none is."""
    while low < high:
        middle = (low + high + 1) // 2
        if is_within(middle):
            low = middle
        else:
            high = middle - 1
    return low
