"""A head as the loss reads it: frozen weight and adapter apart, with PEFT's adapter or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from peft.tuners.lora import Embedding, Linear

from fintts_trainer.families.base import Projection

if TYPE_CHECKING:
    from torch import Tensor, nn


def projection(head: nn.Module, rows: Tensor) -> Projection:
    """What a head without bias, or the embedding that it is tied to, says of `rows` [n, dim].

    PEFT's linear is W + s B A, its embedding W + s (B A)ᵀ: reading `.weight` alone would leave the
    adapter out.
    """
    weight = cast("Tensor", head.weight)
    if not isinstance(head, Linear | Embedding) or head.disable_adapters or head.merged:
        return Projection(rows, weight)
    (name,) = head.active_adapters
    down, up = _halves(head, name)
    seen = cast("Tensor", head.lora_dropout[name](rows.to(down.dtype)))
    return Projection(rows, weight, (seen @ down.t()) * head.scaling[name], up)


def _halves(head: Linear | Embedding, name: str) -> tuple[Tensor, Tensor]:
    """[rank, dim] and [classes, rank]."""
    if isinstance(head, Embedding):
        return head.lora_embedding_B[name].t(), head.lora_embedding_A[name].t()
    down, up = head.lora_A[name].weight, head.lora_B[name].weight
    return cast("Tensor", down), cast("Tensor", up)
