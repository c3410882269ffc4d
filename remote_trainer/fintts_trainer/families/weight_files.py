"""Reads the weights of a folder: model.pth, or safetensors in one or more files."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from fintts_inputs.base_model.files import weight_files
from fintts_inputs.base_model.headers import compare_with_index
from fintts_inputs.base_model.reading import AGAIN
from fintts_inputs.base_model.tensors import Stored
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

StateDict = dict[str, "Tensor"]

SAFETENSORS_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}
"""torch's types by safetensors' names, which `EXPONENTS` lists"""


def read_state_dict(folder: Path) -> StateDict:
    """All weights of a folder by their names in the files; unpickles no objects.

    Raises:
        BaseModelProblem: as `read_files` does.
    """
    return joined(read_files(folder))


def joined(files: Mapping[str, StateDict]) -> StateDict:
    """All weights of several files."""
    return {key: weight for part in files.values() for key, weight in part.items()}


def read_files(folder: Path) -> dict[str, StateDict]:
    """The weights of each file, mapped into memory.

    Raises:
        BaseModelProblem: a file is missing or damaged, holds more than weights, or does not match
            the index.
    """
    files = {name: _read(folder / name) for name in weight_files(folder)}
    compare_with_index(folder, files)
    return files


def stored(state: StateDict) -> dict[str, Stored]:
    """Type and shape of each weight, as a safetensors header lists them."""
    return {
        name: Stored(
            SAFETENSORS_TYPES.get(weight.dtype, str(weight.dtype).removeprefix("torch.")),
            tuple(weight.shape),
        )
        for name, weight in state.items()
    }


def read_pickled(path: Path) -> StateDict:
    """The tensors of a file of torch.save; only weights are read, and no code is executed.

    Raises:
        BaseModelProblem: the file is damaged, or holds more than a table of weights.
    """
    return _read(path)


def _read(path: Path) -> StateDict:
    try:
        content: object = load_file(path) if path.suffix == ".safetensors" else _read_pickled(path)
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as error:
        sentence = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BaseModelProblem(f"{path} cannot be read: {sentence}", AGAIN) from None
    if not isinstance(content, dict) or not all(
        isinstance(one, torch.Tensor) for one in content.values()
    ):
        raise BaseModelProblem(
            f"{path} does not hold a flat table of weights",
            "use the released weights, not quantised and without an optimizer",
        )
    return content


def _read_pickled(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
