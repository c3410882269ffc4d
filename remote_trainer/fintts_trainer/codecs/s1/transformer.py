"""The transformers of S1's codec: causal attention over a window, with rotary positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from fintts_inputs.codec.s1 import TransformerSizes


def rotations(sizes: TransformerSizes) -> Tensor:
    """cos and sin of each position and pair, float32 [positions, head_dim / 2, 2].

    They are rounded to bfloat16, as in the tables that the codec was trained with; unrounded ones
    put the encoder's result off by 1e-3.
    """
    exponents = torch.arange(0, sizes.head_dim, 2).float() / sizes.head_dim
    angles = torch.outer(torch.arange(sizes.positions).float(), sizes.rope_base**-exponents)
    return torch.stack([angles.cos(), angles.sin()], dim=-1).bfloat16().float()


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turns interleaved pairs (2i, 2i + 1): x [B, heads, T, head_dim], table [T, head_dim / 2, 2].

    Su et al., RoFormer (2021).
    """
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = table.unbind(-1)
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2)


class Attention(nn.Module):
    """Position i sees positions i - window + 1 … i."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.heads, self.head_dim, self.window = sizes.heads, sizes.head_dim, sizes.window
        width = sizes.heads * sizes.head_dim
        self.wqkv = nn.Linear(sizes.dim, 3 * width, bias=False)
        self.wo = nn.Linear(width, sizes.dim, bias=False)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """[B, T, dim] → the same; block by block, so that memory grows with T and not with T²."""
        split = self.wqkv(x).unflatten(-1, (3, self.heads, self.head_dim))
        q, k, v = split.permute(2, 0, 3, 1, 4)
        q, k = rotate(q, table), rotate(k, table)
        length, step = x.shape[1], max(self.window, 128)
        parts = [self._block(q, k, v, at, min(at + step, length)) for at in range(0, length, step)]
        return cast("Tensor", self.wo(torch.cat(parts, dim=2).transpose(1, 2).flatten(2)))

    def _block(self, q: Tensor, k: Tensor, v: Tensor, begin: int, end: int) -> Tensor:
        first = max(0, begin - self.window + 1)
        query = torch.arange(begin, end, device=q.device)[:, None]
        key = torch.arange(first, end, device=q.device)
        seen = (key <= query) & (key > query - self.window)
        return F.scaled_dot_product_attention(
            q[:, :, begin:end], k[:, :, first:end], v[:, :, first:end], attn_mask=seen
        )


class FeedForward(nn.Module):
    """A gated MLP."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w3 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, dim] → the same."""
        return cast("Tensor", self.w2(F.silu(self.w1(x)) * self.w3(x)))


class Scale(nn.Module):
    """A factor for each channel."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), 1e-2))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, dim] → the same."""
        return x * self.gamma


class Layer(nn.Module):
    """Attention and MLP, each normalised before and scaled after."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.attention = Attention(sizes)
        self.feed_forward = FeedForward(sizes.dim, sizes.hidden)
        self.attention_norm = nn.RMSNorm(sizes.dim, eps=sizes.norm_eps)
        self.ffn_norm = nn.RMSNorm(sizes.dim, eps=sizes.norm_eps)
        self.attention_layer_scale = Scale(sizes.dim)
        self.ffn_layer_scale = Scale(sizes.dim)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """[B, T, dim] → the same."""
        x = x + self.attention_layer_scale(self.attention(self.attention_norm(x), table))
        return cast("Tensor", x + self.ffn_layer_scale(self.feed_forward(self.ffn_norm(x))))


class WindowTransformer(nn.Module):
    """A stack of layers over [B, dim, T]; positions count from 0 at the start of the clip."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.layers))
        self.norm = nn.RMSNorm(sizes.dim, eps=sizes.norm_eps)
        self.sizes = sizes
        self.table = nn.Buffer(torch.empty(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, dim, T] → the same."""
        x, table = x.transpose(1, 2), self.table[: x.shape[-1]]
        for layer in self.layers:
            x = layer(x, table)
        return cast("Tensor", self.norm(x).transpose(1, 2))
