"""Splits a head into frozen weight and PEFT adapter, as the fused loss needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from peft.tuners.lora import Embedding, Linear

from fintts_trainer.families.base import Projection
from fintts_trainer.model.fused_lora import FusedLinear

if TYPE_CHECKING:
    from torch import Tensor, nn


def projection(head: nn.Module, rows: Tensor) -> Projection:
    """The projection of `rows` [n, dim] by a head without bias, or by the embedding tied to it.

    PEFT's linear computes W + s B A and its embedding W + s (B A)ᵀ; `.weight` alone lacks the
    adapter.
    """
    weight = cast("Tensor", head.weight)
    if not isinstance(head, Linear | Embedding) or head.disable_adapters or head.merged:
        return Projection(rows, weight)
    if isinstance(head, FusedLinear):
        return _fused(head, rows, weight)
    (name,) = head.active_adapters
    down, up = _halves(head, name)
    dropped = cast("Tensor", head.lora_dropout[name](rows.to(down.dtype)))
    return Projection(rows, weight, (dropped @ down.t()) * head.scaling[name], up)


def _fused(head: FusedLinear, rows: Tensor, weight: Tensor) -> Projection:
    """In the type of the rows, as the other products of a step."""
    down, up = head.pack.values()
    if down is None or up is None:
        return Projection(rows, weight)
    dropped = F.dropout(rows, head.pack.products[0].adapter.dropout, head.training)
    return Projection(rows, weight, dropped @ down.t(), up.t())


def _halves(head: Linear | Embedding, name: str) -> tuple[Tensor, Tensor]:
    """The adapter's matrices, [rank, dim] and [classes, rank]."""
    if isinstance(head, Embedding):
        return head.lora_embedding_B[name].t(), head.lora_embedding_A[name].t()
    down, up = head.lora_A[name].weight, head.lora_B[name].weight
    return cast("Tensor", down), cast("Tensor", up)
