"""codec_config.json beside a codec's file: the numbers that shapes do not reveal.

The released codecs come without this file, and the defaults here are their numbers. A codec of
other sizes needs it; the keys are those of the reference implementation's configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from fintts_inputs.base_model.reading import NormEps, RopeBase, Size, read_json, validated

if TYPE_CHECKING:
    from pathlib import Path

CODEC_CONFIG = "codec_config.json"

Rate = Annotated[int, Field(ge=1_000, le=768_000)]
HeadSize = Annotated[int, Field(ge=2, le=4096, multiple_of=2)]
Levels = Annotated[list[Annotated[int, Field(ge=2, le=4096)]], Field(min_length=1, max_length=16)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AttentionPart(_Part):
    """The numbers of a transformer in S1's codec."""

    head_dim: HeadSize = 64
    rope_base: RopeBase = 10_000
    norm_eps: NormEps = 1e-5
    block_size: Size | None = None
    """positions; None means those of the file's table, or of the release"""


class WindowPart(_Part):
    """A transformer over a window of frames."""

    window_size: Size = 128
    config: AttentionPart = AttentionPart()


class QuantizerPart(_Part):
    """The quantiser of either codec."""

    pre_module: WindowPart = WindowPart()
    post_module: WindowPart = WindowPart()
    levels: Levels = [8, 5, 5, 5]


class SpectrumPart(_Part):
    """The mel spectrogram that the codec of Fish Speech 1.5 reads."""

    sample_rate: Rate = 44_100
    n_fft: Size = 2048
    hop_length: Size = 512
    win_length: Size = 2048


class CodecConfigFile(_Part):
    """The keys of the file, with the numbers of the released codecs as defaults."""

    sample_rate: Rate = 44_100
    transformer_general_config: AttentionPart = AttentionPart()
    quantizer: QuantizerPart = QuantizerPart()
    spec_transform: SpectrumPart = SpectrumPart()


def read_codec_config(folder: Path) -> CodecConfigFile:
    """Reads FOLDER/codec_config.json; the released numbers if there is none.

    Raises:
        BaseModelProblem: the file is damaged, or a number is impossible.
    """
    path = folder / CODEC_CONFIG
    if not path.exists():
        return CodecConfigFile()
    return validated(CodecConfigFile, read_json(path), str(path))
