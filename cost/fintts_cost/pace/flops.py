"""Calculates the FLOPs of a step, and the theoretical time that they take.

The FLOPs of a step follow Kaplan et al. 2020 (arXiv:2001.08361): 2 per parameter and token forward,
4 backward; a frozen weight needs no gradient of its own, which saves 2 of the 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cost.errors import EstimateError

if TYPE_CHECKING:
    from fintts_cost.gpus.accelerators import Accelerator

FLOPS_PER_FROZEN_PARAMETER = 4
FLOPS_PER_TRAINED_PARAMETER = 6
PAPER_MFU = 0.40
"""Model FLOPs utilisation of a well-fed A100"""


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
