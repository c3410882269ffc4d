"""Causal attention for transformers' models, computed in the fastest way on this device.

torch has one fused kernel. On a CPU in bfloat16 it is as slow as in float32, and eight times as
slow in backward over the ten positions of a frame; two matrix products around a softmax take half
the time. They keep the probabilities of every layer until backward, so long utterances use the
fused kernel.
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
"""Value of a configuration's `attn_implementation`. transformers builds masks only for the names
that it knows; ours masks only the future, since padding is on the right."""

LONGEST_BY_PRODUCTS = 1024
"""positions, in bfloat16 on a CPU; at this length the probabilities of one head take 2 MB"""

SHORTEST_OF_KERNEL = 32
"""positions, on a GPU: for fewer, such as the codes of a frame, its kernel computes mostly padding,
and it takes no more than 65,535 utterances"""


def causal_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    device_type: str | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of each position to itself and to earlier positions.

    The signature is that of transformers' `AttentionInterface`.

    Args:
        module: the calling layer.
        query: [batch, heads, T, head_dim].
        key: [batch, key-value heads, T, head_dim]; heads are a multiple of key-value heads.
        value: same shape as key.
        attention_mask: usually None; a mask selects torch's kernel.
        dropout: of the probabilities; a value above 0 selects torch's kernel.
        scaling: of the scores; None is 1 / sqrt(head_dim).
        device_type: computes as this kind of device does best; None is the query's.
        options: for torch's kernel.

    Returns:
        [batch, T, heads, head_dim] in the query's type, and None in place of the probabilities.
    """
    is_plain = attention_mask is None and dropout == 0.0 and query.shape[2] == key.shape[2]
    device_type = device_type or query.device.type
    if is_plain and prefers_products(device_type, query.dtype, query.shape[2]):
        return attention_by_products(query, key, value, scaling).transpose(1, 2), None
    output, _ = sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout, scaling, **options
    )
    return output, None


def prefers_products(device_type: str, dtype: torch.dtype, length: int) -> bool:
    """Whether matrix products are faster than torch's kernel."""
    if device_type == "cpu":
        return dtype == torch.bfloat16 and length <= LONGEST_BY_PRODUCTS
    return length < SHORTEST_OF_KERNEL


def attention_by_products(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None = None
) -> Tensor:
    """Causal softmax(query keyᵀ · scaling) value, by matrix products.

    Arguments as in `causal_attention`; returns [batch, heads, T, head_dim].
    """
    batch, heads, length, dim = query.shape
    groups = batch * key.shape[1]
    shared = query.shape[1] // key.shape[1]
    # Heads that share a key are stacked as rows of one product.
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
