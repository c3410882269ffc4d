"""The codec of OpenAudio S1 and S1-mini: its sizes, from the shapes of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from fintts_inputs.codec.shape import CodecShape

if TYPE_CHECKING:
    from fintts_inputs.codec.config import AttentionPart, CodecConfigFile, WindowPart
    from fintts_inputs.codec.tables import Sides

ENCODER_WINDOW = 512
"""window of the encoder's transformer in frames; fixed in the reference's code"""
ENCODER_POSITIONS, FRAME_POSITIONS = 16_384, 4_096
"""positions of the released tables: in the encoder, and per frame"""

SEMANTIC = "quantizer.semantic_quantizer.quantizers."
RESIDUAL = "quantizer.quantizer.quantizers."


@dataclass(frozen=True, slots=True)
class TransformerSizes:
    """A stack of transformer layers with attention over `window` positions."""

    layers: int
    dim: int
    heads: int
    head_dim: int
    hidden: int
    window: int
    positions: int
    rope_base: float
    norm_eps: float


@dataclass(frozen=True, slots=True)
class S1Sizes:
    """All sizes of the network.

    Attributes:
        encoder_channels: before the first block, and after each.
        decoder_channels: likewise.
        down: strides of the stages between encoder and quantiser.
        latent: channels at the quantiser.
    """

    sample_rate: int
    encoder_channels: tuple[int, ...]
    encoder_strides: tuple[int, ...]
    encoder_transformer: TransformerSizes | None
    latent: int
    down: tuple[int, ...]
    pre: TransformerSizes | None
    post: TransformerSizes | None
    codebook_sizes: tuple[int, ...]
    semantic_codebooks: int
    codebook_dim: int
    decoder_channels: tuple[int, ...]
    decoder_strides: tuple[int, ...]

    @property
    def frame_samples(self) -> int:
        """2,048 as released."""
        return prod(self.encoder_strides) * prod(self.down)

    @property
    def most_frames(self) -> int | None:
        """The fewest positions of any transformer."""
        limits = [stack.positions for stack in (self.pre, self.post) if stack is not None]
        if self.encoder_transformer is not None:
            limits.append(self.encoder_transformer.positions // prod(self.down))
        return min(limits, default=None)

    @property
    def shape(self) -> CodecShape:
        """The numbers that the data and the base model must match."""
        return CodecShape(
            title="OpenAudio S1's",
            sample_rate=self.sample_rate,
            frame_samples=self.frame_samples,
            codebook_sizes=self.codebook_sizes,
            most_frames=self.most_frames,
        )


def is_s1(sides: Sides) -> bool:
    """Whether the weights are those of this codec."""
    return sides.has(f"{SEMANTIC}0.codebook.weight")


def s1_sizes(sides: Sides, config: CodecConfigFile) -> S1Sizes:
    """Reads the sizes; loading checks whether every weight fits them.

    Raises:
        CodecProblem: a weight is missing.
    """
    blocks = sides.count("encoder.block.", ".block.4.conv.weight", first=1)
    strided = [sides.of(f"encoder.block.{n}.block.4.conv.weight", 3) for n in range(1, blocks + 1)]
    ups = sides.count("decoder.model.", ".block.1.conv.weight", first=1)
    opened = [sides.of(f"decoder.model.{n}.block.1.conv.weight", 3) for n in range(1, ups + 1)]
    stages = sides.count("quantizer.downsample.", ".0.conv.weight")
    down = [sides.of(f"quantizer.downsample.{n}.0.conv.weight", 3)[2] for n in range(stages)]
    books = [
        f"{prefix}{n}.codebook.weight"
        for prefix in (SEMANTIC, RESIDUAL)
        for n in range(sides.count(prefix, ".codebook.weight"))
    ]
    general = config.transformer_general_config
    transformer = f"encoder.block.{blocks}.block.5."
    return S1Sizes(
        sample_rate=config.sample_rate,
        encoder_channels=(
            sides.of("encoder.block.0.conv.weight", 3)[0],
            *(shape[0] for shape in strided),
        ),
        encoder_strides=tuple(shape[2] // 2 for shape in strided),
        encoder_transformer=_stack(sides, transformer, general, ENCODER_WINDOW, ENCODER_POSITIONS),
        latent=sides.of(f"encoder.block.{blocks + 2}.conv.weight", 3)[0],
        down=tuple(down),
        pre=_module(sides, "pre_module", config.quantizer.pre_module),
        post=_module(sides, "post_module", config.quantizer.post_module),
        codebook_sizes=tuple(sides.of(name, 2)[0] for name in books),
        semantic_codebooks=sides.count(SEMANTIC, ".codebook.weight"),
        codebook_dim=sides.of(books[0], 2)[1],
        decoder_channels=(
            sides.of("decoder.model.0.conv.weight", 3)[0],
            *(shape[1] for shape in opened),
        ),
        decoder_strides=tuple(shape[2] // 2 for shape in opened),
    )


def _module(sides: Sides, name: str, part: WindowPart) -> TransformerSizes | None:
    return _stack(sides, f"quantizer.{name}.", part.config, part.window_size, FRAME_POSITIONS)


def _stack(
    sides: Sides, prefix: str, part: AttentionPart, window: int, positions: int
) -> TransformerSizes | None:
    """The sizes of a transformer; None if it has no layers."""
    layers = sides.count(f"{prefix}layers.", ".attention.wqkv.weight")
    if not layers:
        return None
    rows, dim = sides.of(f"{prefix}layers.0.attention.wqkv.weight", 2)
    head_dim, known = part.head_dim, part.block_size or positions
    if sides.has(f"{prefix}freqs_cis"):
        known, half, _ = sides.of(f"{prefix}freqs_cis", 3)
        head_dim = 2 * half
    return TransformerSizes(
        layers=layers,
        dim=dim,
        heads=rows // (3 * head_dim),
        head_dim=head_dim,
        hidden=sides.of(f"{prefix}layers.0.feed_forward.w1.weight", 2)[0],
        window=window,
        positions=known,
        rope_base=part.rope_base,
        norm_eps=part.norm_eps,
    )
