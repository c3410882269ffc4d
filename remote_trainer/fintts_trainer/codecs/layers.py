"""Layers that Fish Speech's two codecs share; attributes have the names in the weight files."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class CausalConv(nn.Module):
    """A convolution that does not look ahead: [B, in, T] → [B, out, ceil(T / stride)]."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1,
        groups: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, dilation=dilation, groups=groups)
        self.stride = stride
        self.before = (kernel - 1) * dilation + 1 - stride

    def forward(self, x: Tensor) -> Tensor:
        """Pads with zeros on the left, and on the right up to a whole last window."""
        return cast("Tensor", self.conv(F.pad(x, (self.before, -x.shape[-1] % self.stride))))


class CausalTransposedConv(nn.Module):
    """Its inverse in length: [B, in, T] → [B, out, T · stride]."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(inputs, outputs, kernel, stride)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Cuts off what extends beyond the last frame."""
        return cast("Tensor", self.conv(x)[..., : x.shape[-1] * self.stride])


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, LayerNorm, MLP and scale, added to the input [B, dim, T].

    Liu et al., A ConvNet for the 2020s (2022), with a causal convolution.
    """

    def __init__(self, dim: int, kernel: int = 7) -> None:
        super().__init__()
        self.dwconv = CausalConv(dim, dim, kernel, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(1e-6 * self.pwconv2.bias.new_ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """[B, dim, T] → the same."""
        hidden = self.norm(self.dwconv(x).transpose(1, 2))
        hidden = self.gamma * self.pwconv2(F.gelu(self.pwconv1(hidden)))
        return cast("Tensor", x + hidden.transpose(1, 2))


def down_stages(dim: int, strides: tuple[int, ...]) -> nn.Sequential:
    """Each stage divides the number of frames by its stride."""
    return nn.Sequential(
        *(nn.Sequential(CausalConv(dim, dim, s, stride=s), ConvNeXtBlock(dim)) for s in strides)
    )


def up_stages(dim: int, strides: tuple[int, ...]) -> nn.Sequential:
    """The inverse of `down_stages` with the same strides."""
    return nn.Sequential(
        *(
            nn.Sequential(CausalTransposedConv(dim, dim, s, s), ConvNeXtBlock(dim))
            for s in reversed(strides)
        )
    )
