"""codec_config.json beside a codec's file: the numbers that no shape tells.

The released codecs come without it, and have the numbers that are the defaults here. A codec of
other sizes says them in this file, in the words of the reference implementation's configuration.
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
    """positions; None: as the file's table has, or as many as were released"""


class WindowPart(_Part):
    """A transformer that sees a window of frames."""

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
    """What the file may say; with the numbers of the released codecs."""

    sample_rate: Rate = 44_100
    transformer_general_config: AttentionPart = AttentionPart()
    quantizer: QuantizerPart = QuantizerPart()
    spec_transform: SpectrumPart = SpectrumPart()


def read_codec_config(folder: Path) -> CodecConfigFile:
    """FOLDER/codec_config.json, or the released numbers where there is none.

    Raises:
        BaseModelProblem: the file is damaged, or holds an impossible number.
    """
    path = folder / CODEC_CONFIG
    if not path.exists():
        return CodecConfigFile()
    return validated(CodecConfigFile, read_json(path), str(path))
