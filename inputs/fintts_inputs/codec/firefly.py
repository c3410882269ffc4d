"""The codec of Fish Speech 1.5 ("firefly"): its sizes, from the shapes of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from fintts_inputs.codec.shape import CodecShape
from fintts_inputs.errors import CodecProblem

if TYPE_CHECKING:
    from fintts_inputs.codec.config import CodecConfigFile
    from fintts_inputs.codec.tables import Sides

GROUPS = "quantizer.residual_fsq.rvqs."


@dataclass(frozen=True, slots=True)
class FireflySizes:
    """All sizes of the network.

    Attributes:
        depths: blocks of each stage of the backbone, whose channels are `dims`.
        levels: how many values each number of a code can have.
        head_channels: before the first upsampling, and after each.
        stacks: kernels of the residual stacks after each upsampling.
    """

    sample_rate: int
    fft_samples: int
    hop_samples: int
    bands: int
    depths: tuple[int, ...]
    dims: tuple[int, ...]
    down: tuple[int, ...]
    groups: int
    levels: tuple[int, ...]
    head_channels: tuple[int, ...]
    head_kernels: tuple[int, ...]
    stacks: tuple[int, ...]
    pre_kernel: int
    post_kernel: int

    @property
    def frame_samples(self) -> int:
        """2,048 as released."""
        return self.hop_samples * prod(self.down)

    @property
    def shape(self) -> CodecShape:
        """The numbers that the data and the base model must match."""
        return CodecShape(
            title="Fish Speech 1.5's",
            sample_rate=self.sample_rate,
            frame_samples=self.frame_samples,
            codebook_sizes=(prod(self.levels),) * self.groups,
            most_frames=None,
            least_samples=self.frame_samples,
        )


def is_firefly(sides: Sides) -> bool:
    """Whether the weights are those of this codec."""
    return sides.has(f"{GROUPS}0.project_in.weight")


def firefly_sizes(sides: Sides, config: CodecConfigFile) -> FireflySizes:
    """Reads the sizes; loading checks whether every weight fits them.

    Raises:
        CodecProblem: a weight is missing or contradicts codec_config.json, or win_length differs
            from n_fft.
    """
    levels, spectrum = config.quantizer.levels, config.spec_transform
    if spectrum.win_length != spectrum.n_fft:
        raise CodecProblem(
            f"the codec's windows have {spectrum.win_length:,} samples, but only n_fft "
            f"({spectrum.n_fft:,}) is supported",
            "set spec_transform.win_length to n_fft in codec_config.json, if the codec allows it",
        )
    numbers = sides.of(f"{GROUPS}0.project_in.weight", 2)[0]
    if numbers != len(levels):
        raise CodecProblem(
            f"each code of the codec has {numbers} numbers, but quantizer.levels has {len(levels)}",
            "set quantizer.levels in codec_config.json to the number of values of each",
        )
    stem = sides.of("backbone.downsample_layers.0.0.conv.weight", 3)
    stages = sides.count("backbone.stages.", ".0.gamma")
    rounds = sides.count("head.ups.", ".conv.weight")
    ups = [sides.of(f"head.ups.{n}.conv.weight", 3) for n in range(rounds)]
    pre = sides.of("head.conv_pre.conv.weight", 3)
    kinds = sides.count("head.resblocks.0.blocks.", ".convs1.0.conv.weight")
    halved = sides.count("quantizer.downsample.", ".0.conv.weight")
    return FireflySizes(
        sample_rate=spectrum.sample_rate,
        fft_samples=spectrum.n_fft,
        hop_samples=spectrum.hop_length,
        bands=stem[1],
        depths=tuple(sides.count(f"backbone.stages.{n}.", ".gamma") for n in range(stages)),
        dims=tuple(sides.of(f"backbone.stages.{n}.0.gamma", 1)[0] for n in range(stages)),
        down=tuple(
            sides.of(f"quantizer.downsample.{n}.0.conv.weight", 3)[2] for n in range(halved)
        ),
        groups=sides.count(GROUPS, ".project_in.weight"),
        levels=tuple(levels),
        head_channels=(pre[0], *(shape[1] for shape in ups)),
        head_kernels=tuple(shape[2] for shape in ups),
        stacks=tuple(
            sides.of(f"head.resblocks.0.blocks.{n}.convs1.0.conv.weight", 3)[2]
            for n in range(kinds)
        ),
        pre_kernel=pre[2],
        post_kernel=sides.of("head.conv_post.conv.weight", 3)[2],
    )
