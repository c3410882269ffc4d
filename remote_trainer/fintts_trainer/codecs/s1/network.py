"""The network of S1's codec, under the names that its file gives the weights.

The design is that of the Descript Audio Codec (Kumar et al., 2023), made causal, with transformers
around the quantiser.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from fintts_trainer.codecs.layers import (
    CausalConv,
    CausalTransposedConv,
    down_stages,
    up_stages,
)
from fintts_trainer.codecs.s1.quantise import Quantisers
from fintts_trainer.codecs.s1.transformer import WindowTransformer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from fintts_inputs.codec.s1 import S1Sizes, TransformerSizes

DILATIONS = (1, 3, 9)


class Snake(nn.Module):
    """x + sin²(αx) / α for each channel (Ziyin et al., 2020)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, dim, T] → the same."""
        return x + (self.alpha + 1e-9).reciprocal() * (self.alpha * x).sin().square()


class Block(nn.Module):
    """Layers one after the other."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, T] → [B, out, T']"""
        return cast("Tensor", self.block(x))


class ResidualUnit(Block):
    """Two convolutions, added to their input."""

    def __init__(self, dim: int, dilation: int) -> None:
        super().__init__(
            Snake(dim),
            CausalConv(dim, dim, 7, dilation=dilation),
            Snake(dim),
            CausalConv(dim, dim, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, dim, T] → the same."""
        return cast("Tensor", x + self.block(x))


class Encoder(Block):
    """A wave [B, 1, samples] → [B, latent, samples / strides]."""

    def __init__(self, sizes: S1Sizes) -> None:
        last = sizes.encoder_channels[-1]
        super().__init__(
            CausalConv(1, sizes.encoder_channels[0], 7),
            *_encoder_blocks(sizes),
            Snake(last),
            CausalConv(last, sizes.latent, 3),
        )


class Decoder(nn.Module):
    """[B, latent, T] → a wave [B, 1, T · strides]."""

    def __init__(self, sizes: S1Sizes) -> None:
        super().__init__()
        channels = sizes.decoder_channels
        blocks = [
            Block(
                Snake(inputs),
                CausalTransposedConv(inputs, outputs, 2 * stride, stride),
                *(ResidualUnit(outputs, dilation) for dilation in DILATIONS),
            )
            for (inputs, outputs), stride in zip(
                pairwise(channels), sizes.decoder_strides, strict=True
            )
        ]
        self.model = nn.Sequential(
            CausalConv(sizes.latent, channels[0], 7),
            *blocks,
            Snake(channels[-1]),
            CausalConv(channels[-1], 1, 7),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, latent, T] → [B, 1, T · strides]"""
        return cast("Tensor", self.model(x))


def _encoder_blocks(sizes: S1Sizes) -> Iterator[Block]:
    """The last one ends with the transformer."""
    pairs, strides = list(pairwise(sizes.encoder_channels)), sizes.encoder_strides
    for number, ((inputs, outputs), stride) in enumerate(zip(pairs, strides, strict=True), 1):
        last = number == len(pairs) and sizes.encoder_transformer is not None
        yield Block(
            *(ResidualUnit(inputs, dilation) for dilation in DILATIONS),
            Snake(inputs),
            CausalConv(inputs, outputs, 2 * stride, stride=stride),
            *([transformer_or_nothing(sizes.encoder_transformer)] if last else []),
        )


def transformer_or_nothing(sizes: TransformerSizes | None) -> nn.Module:
    """The transformer of these sizes; without any, what leaves its input as it is."""
    return nn.Identity() if sizes is None else WindowTransformer(sizes)


class Quantizer(nn.Module):
    """What lies between encoder and decoder: [B, latent, T] ↔ codes [B, codebooks, frames]."""

    def __init__(self, sizes: S1Sizes) -> None:
        super().__init__()
        semantic = sizes.codebook_sizes[: sizes.semantic_codebooks]
        residual = sizes.codebook_sizes[sizes.semantic_codebooks :]
        self.semantic_quantizer = Quantisers(sizes.latent, semantic, sizes.codebook_dim)
        self.quantizer = Quantisers(sizes.latent, residual, sizes.codebook_dim)
        self.downsample = down_stages(sizes.latent, sizes.down)
        self.pre_module = transformer_or_nothing(sizes.pre)
        self.post_module = transformer_or_nothing(sizes.post)
        self.upsample = up_stages(sizes.latent, sizes.down)

    def encode(self, x: Tensor) -> Tensor:
        """[B, latent, T] → codes, int64 [B, codebooks, frames]."""
        rest = self.pre_module(self.downsample(x))
        semantic, rest = self.semantic_quantizer.encode(rest)
        residual, _ = self.quantizer.encode(rest)
        return torch.cat([semantic, residual], dim=1)

    def values(self, codes: Tensor) -> Tensor:
        """Codes → the sum over all codebooks, [B, latent, frames]; too high codes are clamped."""
        books = len(self.semantic_quantizer.quantizers)
        semantic = self.semantic_quantizer.values(codes[:, :books])
        return semantic + self.quantizer.values(codes[:, books:])

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, codebooks, frames] → [B, latent, T]."""
        return cast("Tensor", self.upsample(self.post_module(self.values(codes))))


class S1Network(nn.Module):
    """All of it: waves [B, 1, samples] ↔ codes [B, codebooks, frames]."""

    def __init__(self, sizes: S1Sizes) -> None:
        super().__init__()
        self.encoder = Encoder(sizes)
        self.quantizer = Quantizer(sizes)
        self.decoder = Decoder(sizes)

    def encode(self, waves: Tensor) -> Tensor:
        """[B, 1, whole frames] → int64 [B, codebooks, frames]."""
        return self.quantizer.encode(self.encoder(waves))

    def decode(self, codes: Tensor) -> Tensor:
        """int64 [B, codebooks, frames] → [B, 1, samples]."""
        return cast("Tensor", self.decoder(self.quantizer.decode(codes)))
