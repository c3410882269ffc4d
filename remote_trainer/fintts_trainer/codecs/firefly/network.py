"""The network of Fish Speech 1.5's codec, under the names that its file gives the weights."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import nn

from fintts_trainer.codecs.firefly.quantise import GroupedFsq
from fintts_trainer.codecs.layers import (
    CausalConv,
    CausalTransposedConv,
    ConvNeXtBlock,
    down_stages,
    up_stages,
)

if TYPE_CHECKING:
    from torch import Tensor

    from fintts_inputs.codec.firefly import FireflySizes

STEM_KERNEL = 7
DILATIONS = (1, 3, 5)


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of [B, dim, T]."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=1e-6)

    def forward(self, input: Tensor) -> Tensor:
        """[B, dim, T] → the same."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class Backbone(nn.Module):
    """A mel spectrogram [B, bands, T] → [B, dim, T] (ConvNeXt)."""

    def __init__(self, sizes: FireflySizes) -> None:
        super().__init__()
        first = sizes.dims[0]
        stem = nn.Sequential(CausalConv(sizes.bands, first, STEM_KERNEL), ChannelNorm(first))
        between = [
            nn.Sequential(ChannelNorm(inputs), nn.Conv1d(inputs, outputs, 1))
            for inputs, outputs in pairwise(sizes.dims)
        ]
        self.downsample_layers = nn.ModuleList([stem, *between])
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNeXtBlock(dim) for _ in range(depth)))
            for dim, depth in zip(sizes.dims, sizes.depths, strict=True)
        )
        self.norm = ChannelNorm(sizes.dims[-1])

    def forward(self, x: Tensor) -> Tensor:
        """[B, bands, T] → [B, dim, T]"""
        for change, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(change(x))
        return cast("Tensor", self.norm(x))


class ResidualStack(nn.Module):
    """Pairs of dilated convolutions, each added to its input."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        convs = [[CausalConv(dim, dim, kernel, dilation=d) for d in DILATIONS] for _ in range(2)]
        self.convs1, self.convs2 = map(nn.ModuleList, convs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, dim, T] → the same."""
        for first, second in zip(self.convs1, self.convs2, strict=True):
            x = x + second(F.silu(first(F.silu(x))))
        return x


class ParallelStacks(nn.Module):
    """The mean of stacks with kernels of different lengths."""

    def __init__(self, dim: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualStack(dim, kernel) for kernel in kernels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, dim, T] → the same."""
        return torch.stack([block(x) for block in self.blocks]).mean(0)


class Head(nn.Module):
    """[B, dim, T] → a wave [B, 1, samples] (Kong et al., HiFi-GAN, 2020, made causal)."""

    def __init__(self, sizes: FireflySizes) -> None:
        super().__init__()
        channels = sizes.head_channels
        self.conv_pre = CausalConv(sizes.dims[-1], channels[0], sizes.pre_kernel)
        self.ups = nn.ModuleList(
            CausalTransposedConv(inputs, outputs, kernel, kernel // 2)
            for (inputs, outputs), kernel in zip(
                pairwise(channels), sizes.head_kernels, strict=True
            )
        )
        self.resblocks = nn.ModuleList(ParallelStacks(dim, sizes.stacks) for dim in channels[1:])
        self.conv_post = CausalConv(channels[-1], 1, sizes.post_kernel)

    def forward(self, x: Tensor) -> Tensor:
        """[B, dim, T] → [B, 1, samples]"""
        x = self.conv_pre(x)
        for up, stacks in zip(self.ups, self.resblocks, strict=True):
            x = stacks(up(F.silu(x)))
        return cast("Tensor", self.conv_post(F.silu(x)).tanh())


class Quantizer(nn.Module):
    """[B, dim, T] ↔ codes [B, groups, frames]."""

    def __init__(self, sizes: FireflySizes) -> None:
        super().__init__()
        dim = sizes.dims[-1]
        self.residual_fsq = GroupedFsq(dim, sizes.groups, sizes.levels)
        self.downsample = down_stages(dim, sizes.down)
        self.upsample = up_stages(dim, sizes.down)


class FireflyNetwork(nn.Module):
    """All of it."""

    def __init__(self, sizes: FireflySizes) -> None:
        super().__init__()
        self.backbone = Backbone(sizes)
        self.quantizer = Quantizer(sizes)
        self.head = Head(sizes)

    def encode(self, mel: Tensor) -> Tensor:
        """[B, bands, T] → int64 [B, groups, ceil(T / down)]."""
        hidden = self.quantizer.downsample(self.backbone(mel))
        return self.quantizer.residual_fsq.encode(hidden)

    def decode(self, codes: Tensor) -> Tensor:
        """int64 [B, groups, frames] → [B, 1, samples]."""
        return cast(
            "Tensor", self.head(self.quantizer.upsample(self.quantizer.residual_fsq.values(codes)))
        )
