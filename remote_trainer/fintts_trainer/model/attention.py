"""Causal attention for transformers' models, computed in the fastest way on this device.

torch has one fused kernel. On a CPU in bfloat16 it is as slow as in float32, and eight times as
slow in backward over the ten positions of a frame; two matrix products around a softmax take half
the time. They keep the probabilities of every layer until backward, so long utterances use the
fused kernel.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch.autograd import Function
from torch.autograd.function import once_differentiable
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

WIDEST_OF_SHARED_KEYS = 256
"""numbers of a head up to which torch's kernels let heads share keys; transformers repeats keys
beyond that"""


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
    """`attend` with the signature of transformers' `AttentionInterface`.

    Returns:
        [batch, T, heads, head_dim] in the query's type, and None in place of the probabilities.
    """
    output = attend(module, query, key, value, attention_mask, dropout, scaling, **options)
    return output.transpose(1, 2), None


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    device_type: str | None = None,
    **options: Any,
) -> Tensor:
    """Attention of each position to itself and to earlier positions.

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
        [batch, heads, T, head_dim] in the query's type.
    """
    is_plain = attention_mask is None and dropout == 0.0 and query.shape[2] == key.shape[2]
    device_type = device_type or query.device.type
    if is_plain and prefers_products(device_type, query.dtype, query.shape[2]):
        return attention_by_products(query, key, value, scaling)
    if is_plain and query.shape[3] <= WIDEST_OF_SHARED_KEYS:
        shares_keys = query.shape[1] != key.shape[1]
        return F.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, enable_gqa=shares_keys
        )
    output, _ = sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout, scaling, **options
    )
    return output.transpose(1, 2)


def prefers_products(device_type: str, dtype: torch.dtype, length: int) -> bool:
    """Whether matrix products are faster than torch's kernel."""
    if device_type == "cpu":
        return dtype == torch.bfloat16 and length <= LONGEST_BY_PRODUCTS
    return length < SHORTEST_OF_KERNEL


def attention_by_products(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None = None
) -> Tensor:
    """Causal softmax(query keyᵀ · scaling) value, by matrix products.

    Arguments as in `attend`; returns [batch, heads, T, head_dim].
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # torch's own signature of `apply` is untyped.
    return cast("Tensor", _Products.apply(query, key, value, scale))  # type: ignore[no-untyped-call]


class _Products(Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        batch, kv_heads, length, dim = key.shape
        groups, shared = batch * kv_heads, query.shape[1] // kv_heads
        # Heads that share a key are stacked as rows of one product.
        rows = query.reshape(groups, shared * length, dim)
        keys, values = (one.reshape(groups, length, dim) for one in (key, value))
        future = query.new_full((length, length), -math.inf).triu_(1).repeat(shared, 1)
        scores = torch.baddbmm(future, rows, keys.transpose(1, 2), alpha=scale)
        shares = scores.softmax(-1)
        ctx.save_for_backward(rows, keys, values, shares)
        ctx.scale, ctx.shape = scale, key.shape
        return torch.bmm(shares, values).view(query.shape)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] # the decorator is untyped
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        rows, keys, values, shares = ctx.saved_tensors
        upstream = grad.reshape(rows.shape)
        of_shares = torch.bmm(upstream, values.transpose(1, 2))
        of_scores = torch.ops.aten._softmax_backward_data(of_shares, shares, -1, shares.dtype)
        of_scores *= ctx.scale
        return (
            torch.bmm(of_scores, keys).view(grad.shape),
            torch.bmm(of_scores.transpose(1, 2), rows).view(ctx.shape),
            torch.bmm(shares.transpose(1, 2), upstream).view(ctx.shape),
            None,
        )


AttentionInterface.register(CAUSAL_ATTENTION, causal_attention)
