"""Reads the headers of a base model's weights files, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fintts_inputs.base_model.csm.weights import TIED, tied_apart
from fintts_inputs.base_model.families import family_of
from fintts_inputs.base_model.files import (
    PICKLED,
    SAFETENSORS,
    find_weights,
    read_index,
    weight_files,
)
from fintts_inputs.base_model.fitting import refuse_misfit
from fintts_inputs.base_model.reading import AGAIN
from fintts_inputs.base_model.tensors import contents, read_header
from fintts_inputs.base_model.torch_file import read_torch_file
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.base_model.tensors import Stored


def refuse_other_weights(folder: Path, shape: ModelShape) -> None:
    """Compares the headers of all weights files with config.json.

    Raises:
        BaseModelProblem: a file is missing, damaged or differs from the index, or the weights do
            not fit config.json.
    """
    if not family_of(shape).may_be_pickled:
        refuse_pickled(folder)
    files = {name: _stored(folder / name) for name in weight_files(folder)}
    compare_with_index(folder, files)
    refuse_misfit({name: one for part in files.values() for name, one in part.items()}, shape)
    if shape.tied_codes:
        _refuse_tied_apart(folder, files)


def _refuse_tied_apart(folder: Path, files: Mapping[str, Iterable[str]]) -> None:
    """Compares the bytes of two tied tensors that are both stored, since their shapes are equal."""
    both = [
        contents(folder / file)[name][1]
        for file, part in files.items()
        for name in TIED
        if name in part
    ]
    if any(not np.array_equal(both[0], one) for one in both):
        raise tied_apart()


def _stored(path: Path) -> dict[str, Stored]:
    return read_torch_file(path) if path.name == PICKLED else read_header(path, AGAIN)


def refuse_pickled(folder: Path) -> None:
    """Refuses pickled weights, since CSM's are safetensors.

    Raises:
        BaseModelProblem: the weights of the folder are not safetensors.
    """
    names = weight_files(folder)
    if any(not name.endswith(".safetensors") for name in names):
        raise BaseModelProblem(
            f"the base model folder {folder} has no {SAFETENSORS}, only {', '.join(names)}",
            "give a CSM folder for transformers, with weights as safetensors",
        )


def compare_with_index(folder: Path, files: Mapping[str, Iterable[str]]) -> None:
    """Compares the contents of several files with the index; a single file has none.

    Args:
        files: name of a file → names of the weights in it.

    Raises:
        BaseModelProblem: a weight is not in the file that the index names.
    """
    index = folder / find_weights(folder)
    if index.name in files:
        return
    said = set(read_index(index).items())
    there = {(key, name) for name, part in files.items() for key in part}
    if said != there:
        key, name = min(said ^ there)
        is_missing = (key, name) in said
        problem = f"lacks {key}" if is_missing else f"has {key}, but {index.name} says otherwise"
        raise BaseModelProblem(f"{folder / name} {problem}", AGAIN)
