"""Notes for the run's log on optimizations that do not apply on this device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from fintts_trainer.model.attention import LONGEST_BY_PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator


def device_notes(device: torch.device, dtype: torch.dtype, longest: int) -> Iterator[str]:
    """A sentence for each operation that is slow on this device in this type.

    Args:
        longest: positions of the longest utterance.
    """
    if dtype != torch.bfloat16:
        return
    if device.type == "cpu" and longest > LONGEST_BY_PRODUCTS:
        yield (
            f"utterances of more than {LONGEST_BY_PRODUCTS:,} tokens (the longest has "
            f"{longest:,}) use slow attention: the fast one for bfloat16 on a CPU would need too "
            "much memory"
        )
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        yield (
            "this GPU emulates bfloat16, which is slow; training.precision: fp32 is faster on it"
        )


def unfused_note(linears: int) -> Iterator[str]:
    """A sentence if some adapted linears keep PEFT's forward.

    Args:
        linears: their number.
    """
    if linears:
        yield (
            f"{linears:,} adapted matrices use PEFT's own computation, which takes more time and "
            "memory: the fused one has no bias"
        )
