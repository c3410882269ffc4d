"""What would make a step quicker or smaller and is not in force here: the run's log says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from fintts_trainer.model.attention import LONGEST_BY_PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator


def slow_ways(device: torch.device, dtype: torch.dtype, longest: int) -> Iterator[str]:
    """A sentence for each thing that this device does slowly in this type.

    Args:
        longest: positions of the longest utterance.
    """
    if dtype != torch.bfloat16:
        return
    if device.type == "cpu" and longest > LONGEST_BY_PRODUCTS:
        yield (
            f"the quick attention of a CPU in bfloat16 is not in force for utterances of more than "
            f"{LONGEST_BY_PRODUCTS:,} tokens (the longest has {longest:,}): it would hold too much "
            "memory"
        )
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        yield (
            "this GPU computes bfloat16 by emulation, which is slow: training.precision: fp32 is "
            "quicker on it"
        )


def left_to_peft(linears: int) -> Iterator[str]:
    """Where adapted matrices do not compute in one step of autograd."""
    if linears:
        yield (
            f"{linears:,} adapted matrices compute as PEFT has it, which takes more time and "
            "memory: with lora.dropout the fused way is not in force"
        )
