"""Finds the codec in a base model's folder, and identifies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.base_model.csm.config import CSM_MODEL_TYPE
from fintts_inputs.base_model.csm.weights import CODEC
from fintts_inputs.base_model.files import CONFIG, find_weights
from fintts_inputs.base_model.headers import refuse_pickled
from fintts_inputs.base_model.reading import read_json
from fintts_inputs.base_model.torch_file import read_torch_file
from fintts_inputs.codec.config import read_codec_config
from fintts_inputs.codec.firefly import FireflySizes, firefly_sizes, is_firefly
from fintts_inputs.codec.mimi import mimi_shape
from fintts_inputs.codec.s1 import S1Sizes, is_s1, s1_sizes
from fintts_inputs.codec.shape import refuse_other_codec
from fintts_inputs.codec.tables import Sides, own_names
from fintts_inputs.errors import CodecProblem
from fintts_inputs.links import refuse_links_out

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.codec.shape import CodecShape

S1_FILE = "codec.pth"
FIREFLY_FILE = "firefly-gan-vq-fsq-8x1024-21hz-generator.pth"
FILES = (S1_FILE, FIREFLY_FILE)


@dataclass(frozen=True, slots=True)
class MimiSizes:
    """A Mimi in transformers' format; `prefix` is that of its weights' names."""

    config: dict[str, object]
    prefix: str
    shape: CodecShape


@dataclass(frozen=True, slots=True)
class CodecFile:
    """A codec whose header was read, but not its weights.

    Attributes:
        path: the torch.save file; for Mimi, the folder of its weights.
    """

    path: Path
    sizes: S1Sizes | FireflySizes | MimiSizes

    @property
    def shape(self) -> CodecShape:
        """The numbers that the data and the base model must match."""
        return self.sizes.shape


def find_codec(place: Path, instead: str = "") -> CodecFile:
    """The codec in a base model's folder, or in a file or folder of its own.

    Args:
        instead: what the user can do other than download one, for the hint.

    Raises:
        CodecProblem: there is none, or its kind is unknown.
        BaseModelProblem: its file is damaged, or contains more than weights.
    """
    if place.is_file():
        return _pickled(place)
    for name in FILES:
        if (place / name).is_file():
            refuse_links_out(place, (name,))
            return _pickled(place / name)
    mimi = _mimi_in(place)
    if mimi is None:
        raise _no_codec(place, instead)
    return mimi


def find_codec_for(model: ModelShape, place: Path, instead: str = "") -> CodecFile:
    """The codec at a place, if it is that of a base model; `instead` is as `find_codec` says.

    Raises:
        CodecProblem: there is none, its kind is unknown, or it belongs to another model.
        BaseModelProblem: its file is damaged, or contains more than weights.
    """
    found = find_codec(place, instead)
    refuse_other_codec(found.shape, model)
    return found


def _no_codec(place: Path, instead: str) -> CodecProblem:
    if not place.is_dir():
        return CodecProblem(f"there is no codec at {place}", "give codec.pth, or its folder")
    return CodecProblem(
        f"{place} has no {' or '.join(FILES)}",
        "download the codec from the base model's page, for S1-mini with `hf download "
        f"fishaudio/openaudio-s1-mini {S1_FILE} --local-dir {place}`"
        + (f", or {instead}" if instead else ""),
    )


def _pickled(path: Path) -> CodecFile:
    stored = read_torch_file(path)
    sides = Sides({own: stored[name].shape for name, own in own_names(stored).items()})
    config = read_codec_config(path.parent)
    if is_s1(sides):
        return CodecFile(path, s1_sizes(sides, config))
    if is_firefly(sides):
        return CodecFile(path, firefly_sizes(sides, config))
    raise CodecProblem(
        f"{path} is neither OpenAudio S1's codec nor Fish Speech 1.5's",
        "use the codec's file as released with the base model",
    )


def _mimi_in(folder: Path) -> CodecFile | None:
    """The Mimi in CSM's folder or in a separate one; None if there is neither."""
    if not (folder / CONFIG).is_file():
        return None
    refuse_links_out(folder, (CONFIG,))
    content = read_json(folder / CONFIG)
    kind = content.get("model_type") if isinstance(content, dict) else None
    if not isinstance(content, dict) or kind not in (CSM_MODEL_TYPE, "mimi"):
        return None
    refuse_pickled(folder)
    refuse_links_out(folder, (find_weights(folder),))
    config = content.get("codec_config", {}) if kind == CSM_MODEL_TYPE else content
    shape = mimi_shape(config, str(folder / CONFIG))
    prefix = CODEC if kind == CSM_MODEL_TYPE else ""
    return CodecFile(folder, MimiSizes(config, prefix, shape))
