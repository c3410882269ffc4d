"""How long a trainer may show no sign of progress in each phase before it counts as hung.

A sign is a micro-batch of a step or check, a fetched block of bytes, an encoded utterance, or a
check for a request to stop. Each limit is far above what a slow machine takes between two signs:
ending a healthy run costs more than a few idle minutes. `hang_factor.py` multiplies all limits.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_SECONDS = 300.0
"""in any phase"""
STEP_FACTOR = 10.0
"""of the median step, and of the longest save"""
START_SECONDS = 900.0
"""from the process's start until it opens the run: imports, joining the others, old leftovers"""
UNMEASURED_SECONDS = 1800.0
"""for the first micro-batch of a step or check: compilation, or a slow CPU"""
SLOWEST_DISK_BYTES_PER_SECOND = 20e6
"""for reading the base model"""
FINAL_WRITES_SECONDS = 600.0
"""for curves, result and the instance's announced end; store requests have their own limits"""


def step_limit(step_seconds: Sequence[float], longest_check_seconds: float | None) -> float:
    """The limit between two signs of a step.

    Args:
        step_seconds: of the last steps of this process; empty before the first.
        longest_check_seconds: None before the first check.
    """
    if not step_seconds:
        return UNMEASURED_SECONDS
    return max(LEAST_SECONDS, STEP_FACTOR * median(step_seconds), longest_check_seconds or 0.0)


def check_limit(step_seconds: Sequence[float], longest_check_seconds: float | None) -> float:
    """The limit between two signs of a check."""
    if longest_check_seconds is None:
        return UNMEASURED_SECONDS
    steps = STEP_FACTOR * median(step_seconds) if step_seconds else 0.0
    return max(LEAST_SECONDS, steps, longest_check_seconds)


def save_limit(longest_save_seconds: float | None) -> float:
    """The limit for writing a checkpoint to the local disk."""
    return max(LEAST_SECONDS, STEP_FACTOR * (longest_save_seconds or 0.0))


def load_limit(size_bytes: int) -> float:
    """The limit for reading a base model of this size from the local disk."""
    return LEAST_SECONDS + size_bytes / SLOWEST_DISK_BYTES_PER_SECOND


def upload_limit(grace_seconds: float) -> float:
    """The limit for waiting for the last uploads; the wait ends by itself after the grace."""
    return grace_seconds + LEAST_SECONDS
