"""Estimates the remaining time of a run from the steps, checks and saves that it measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fintts_cost.checks import MAX_SECONDS, require_amount, require_count
from fintts_cost.errors import EstimateError

if TYPE_CHECKING:
    from fintts_cost.training.schedule import Schedule


WARMUP_STEPS = 10
"""The first steps compile, allocate and fill caches; nanochat skips as many."""


@dataclass(frozen=True, slots=True)
class EtaMeter:
    """Estimates the remaining time from what this process measured.

    The first steps are left out, so that the ETA does not start far too high. Frozen: `after_…`
    returns a meter with one more measurement.
    """

    warmup_steps: int = WARMUP_STEPS
    steps: int = 0
    """all measured steps, including the first ones"""
    seconds: float = 0.0
    """of the steps after the warm-up"""
    checks: int = 0
    check_seconds: float = 0.0
    saves: int = 0
    save_seconds: float = 0.0

    def after_step(self, seconds: float) -> EtaMeter:
        """Adds the seconds of one training step, without validation and checkpoints.

        Raises:
            EstimateError: the duration is negative or not finite.
        """
        _require_duration("a step's duration", seconds)
        counted = seconds if self.steps >= self.warmup_steps else 0.0
        return replace(self, steps=self.steps + 1, seconds=self.seconds + counted)

    def after_check(self, seconds: float) -> EtaMeter:
        """Adds the seconds of one validation check, with the samples spoken after it.

        Raises:
            EstimateError: the duration is negative or not finite.
        """
        _require_duration("a check's duration", seconds)
        return replace(self, checks=self.checks + 1, check_seconds=self.check_seconds + seconds)

    def after_save(self, seconds: float) -> EtaMeter:
        """Adds the seconds for which one save kept training waiting.

        Raises:
            EstimateError: the duration is negative or not finite.
        """
        _require_duration("a save's duration", seconds)
        return replace(self, saves=self.saves + 1, save_seconds=self.save_seconds + seconds)

    @property
    def seconds_per_step(self) -> float | None:
        """Mean of the steps after the warm-up; None before the first."""
        counted = self.steps - self.warmup_steps
        return self.seconds / counted if counted > 0 else None

    @property
    def seconds_per_check(self) -> float:
        """Mean of the validation checks; 0 before the first."""
        return self.check_seconds / self.checks if self.checks else 0.0

    @property
    def seconds_per_save(self) -> float:
        """Mean of the saves; 0 before the first."""
        return self.save_seconds / self.saves if self.saves else 0.0

    def eta_seconds(self, schedule: Schedule, step: int) -> float | None:
        """Seconds from the end of this step to max_steps, with checks and saves; at least 0.

        None until a step after the warm-up is measured, unless nothing is left to do. Early
        stopping may end the run sooner.

        Raises:
            EstimateError: the step is negative.
        """
        return self.seconds_between(schedule, step, schedule.max_steps)

    def seconds_between(self, schedule: Schedule, step: int, end: int) -> float | None:
        """Seconds from the end of `step` to that of `end`, as `eta_seconds` counts them.

        Raises:
            EstimateError: the step is negative.
        """
        require_count(EstimateError, "the step", step, least=0)
        steps = max(end - step, 0)
        if steps == 0:
            return 0.0
        each = self.seconds_per_step
        if each is None:
            return None
        checks = schedule.validation_checks(end) - schedule.validation_checks(step)
        saves = schedule.checkpoints(end) - step // schedule.checkpoint_every
        return steps * each + checks * self.seconds_per_check + saves * self.seconds_per_save


def _require_duration(name: str, seconds: float) -> None:
    require_amount(EstimateError, name, seconds, MAX_SECONDS)
