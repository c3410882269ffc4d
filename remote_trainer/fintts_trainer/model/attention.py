"""Causal attention as the models of transformers ask for it, by the way that is quickest here.

torch's own is one fused kernel. On a CPU in bfloat16 that kernel computes as slowly as in float32,
and its backward for the ten positions of a frame takes eight times as long; two matrix products
around a softmax take half of the time there. They hold the probabilities of every layer until
backward, which is why long utterances stay with the kernel.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

if TYPE_CHECKING:
    from torch import Tensor, nn

CAUSAL_ATTENTION = "fintts_causal"
"""What a configuration names as its `attn_implementation`. transformers makes masks for the names
that it knows only: here nothing is masked but the future, since padding is on the right."""

LONGEST_BY_PRODUCTS = 1024
"""Positions; there the probabilities of one head take 2 MB."""


def causal_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention where each position sees itself and what is before it.

    Args:
        module: asks; transformers' interface wants it.
        query: [batch, heads, T, head_dim].
        key: [batch, key-value heads, T, head_dim]; heads are a multiple of these.
        value: as the key.
        attention_mask: None; whatever else goes to torch's kernel.
        dropout: of the probabilities; another number than 0 goes to torch's kernel.
        scaling: of the scores; None is 1 / sqrt(head_dim).
        options: for torch's kernel.

    Returns:
        [batch, T, heads, head_dim] in the query's type, and no probabilities.
    """
    by_products = (
        query.device.type == "cpu"
        and query.dtype == torch.bfloat16
        and attention_mask is None
        and dropout == 0.0
        and query.shape[2] == key.shape[2] <= LONGEST_BY_PRODUCTS
    )
    if by_products:
        return attention_by_products(query, key, value, scaling).transpose(1, 2), None
    output, _ = sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout, scaling, **options
    )
    return output, None


def attention_by_products(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None = None
) -> Tensor:
    """softmax(query keyᵀ · scaling) value over past and present; shapes as `causal_attention` has
    them, [batch, heads, T, head_dim] the result's."""
    batch, heads, length, dim = query.shape
    groups = batch * key.shape[1]
    shared = query.shape[1] // key.shape[1]
    # The heads that share a key stand below one another, as rows of one product.
    rows = query.reshape(groups, shared * length, dim)
    future = query.new_full((length, length), -math.inf).triu(1).repeat(shared, 1)
    scores = torch.baddbmm(
        future,
        rows,
        key.reshape(groups, length, dim).transpose(1, 2),
        alpha=dim**-0.5 if scaling is None else scaling,
    )
    output = torch.bmm(scores.softmax(-1), value.reshape(groups, length, dim))
    return output.view(batch, heads, length, dim)


AttentionInterface.register(CAUSAL_ATTENTION, causal_attention)
