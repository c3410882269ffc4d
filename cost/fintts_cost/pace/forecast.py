"""Forecasts seconds per step from a step's FLOPs, and from measured steps.

The FLOPs of a step follow Kaplan et al. 2020 (arXiv:2001.08361): 2 per parameter and token forward,
4 backward; a frozen weight needs no gradient of its own, which saves 2 of the 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fintts_cost.checks import MAX_SECONDS, require_amount, require_count
from fintts_cost.errors import EstimateError
from fintts_cost.money import cost_usd

if TYPE_CHECKING:
    from decimal import Decimal

    from fintts_cost.gpus.accelerators import Accelerator
    from fintts_cost.training.schedule import Schedule

FLOPS_PER_FROZEN_PARAMETER = 4
FLOPS_PER_TRAINED_PARAMETER = 6
PAPER_MFU = 0.40
"""Model FLOPs utilisation of a well-fed A100"""
WARMUP_STEPS = 10
"""The first steps compile, allocate and fill caches; nanochat skips as many."""


def flops_per_step(*, frozen: int, trained: int, tokens: int) -> int:
    """FLOPs of matrix products in one step, where every token passes through all parameters.

    Args:
        frozen: number of the base model's weights that take part.
        trained: number of the adapter's weights.
        tokens: positions of the whole batch, in all micro-batches.
    """
    each = FLOPS_PER_FROZEN_PARAMETER * frozen + FLOPS_PER_TRAINED_PARAMETER * trained
    return each * tokens


def attention_flops(*, layers: int, width: int, length: int) -> int:
    """FLOPs of attention scores and weighted values for one causal sequence, with backward.

    Forward: 2 products of 2 × length² × width, of which the causal half counts. Backward: twice.

    Args:
        width: heads × head size.
        length: tokens of the sequence.
    """
    return 6 * layers * width * length**2


def seconds_per_step(flops: float, accelerator: Accelerator, mfu: float = PAPER_MFU) -> float:
    """The theoretical forecast: 13.0 TFLOP take 0.104 s on an A100 at 40 %.

    Raises:
        EstimateError: mfu is not a share of the peak.
    """
    if not 0 < mfu <= 1:
        raise EstimateError(
            f"the utilisation must be above 0 and at most 1, but is {mfu}",
            f"{PAPER_MFU} is usual",
        )
    return flops / (accelerator.bf16_tflops * 1e12 * mfu)


@dataclass(frozen=True, slots=True)
class EtaMeter:
    """Estimates the remaining time from the steps and checks that this process measured.

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

    def after_step(self, seconds: float) -> EtaMeter:
        """Adds the seconds of one training step, without validation and checkpoints.

        Raises:
            EstimateError: the duration is negative or not finite.
        """
        _require_duration("a step's duration", seconds)
        counted = seconds if self.steps >= self.warmup_steps else 0.0
        return replace(self, steps=self.steps + 1, seconds=self.seconds + counted)

    def after_check(self, seconds: float) -> EtaMeter:
        """Adds the seconds of one validation check, with the checkpoint after it.

        Raises:
            EstimateError: the duration is negative or not finite.
        """
        _require_duration("a check's duration", seconds)
        return replace(self, checks=self.checks + 1, check_seconds=self.check_seconds + seconds)

    @property
    def seconds_per_step(self) -> float | None:
        """Mean of the steps after the warm-up; None before the first."""
        counted = self.steps - self.warmup_steps
        return self.seconds / counted if counted > 0 else None

    @property
    def seconds_per_check(self) -> float:
        """Mean of the validation checks; 0 before the first."""
        return self.check_seconds / self.checks if self.checks else 0.0

    def eta_seconds(self, schedule: Schedule, step: int) -> float | None:
        """Seconds from the end of this step to max_steps, with the checks between; at least 0.

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
        return steps * each + checks * self.seconds_per_check


def _require_duration(name: str, seconds: float) -> None:
    require_amount(EstimateError, name, seconds, MAX_SECONDS)


def cost_so_far_usd(elapsed_seconds: float, hourly_rate_usd: Decimal) -> Decimal:
    """Dollars since billing began; at least 0, even if the clock was set back."""
    return cost_usd(max(elapsed_seconds, 0.0), hourly_rate_usd)


def cost_to_finish_usd(eta_seconds: float | None, hourly_rate_usd: Decimal) -> Decimal | None:
    """Dollars from now to the end; None while the ETA is unknown."""
    return None if eta_seconds is None else cost_usd(eta_seconds, hourly_rate_usd)
