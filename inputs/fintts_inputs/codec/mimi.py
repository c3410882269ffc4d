"""Mimi, the codec of CSM: its sizes, from the `codec_config` of CSM's config.json."""

from __future__ import annotations

from math import prod
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fintts_inputs.base_model.reading import Size, validated
from fintts_inputs.codec.config import Rate
from fintts_inputs.codec.shape import CodecShape

Ratios = Annotated[list[Annotated[int, Field(ge=1, le=1024)]], Field(min_length=1, max_length=16)]

LAST_STRIDE = 2
"""of the convolution between Mimi's transformer and its quantiser"""


class MimiConfigFile(BaseModel):
    """Names and defaults of transformers' MimiConfig."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sampling_rate: Rate = 24_000
    upsampling_ratios: Ratios | None = None
    codebook_size: Size = 2048
    num_quantizers: Annotated[int, Field(ge=1, le=256)] = 32


def mimi_shape(content: object, source: str) -> CodecShape:
    """The shape of a Mimi with this configuration.

    Raises:
        BaseModelProblem: a key is impossible.
    """
    config = validated(MimiConfigFile, content, source)
    ratios = config.upsampling_ratios or [8, 6, 5, 4]
    return CodecShape(
        title="Mimi",
        sample_rate=config.sampling_rate,
        frame_samples=prod(ratios) * LAST_STRIDE,
        codebook_sizes=(config.codebook_size,) * config.num_quantizers,
        most_frames=None,
    )
