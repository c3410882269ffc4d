"""Weights as they lie in a folder: model.pth, or safetensors in one file or in several."""

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
    from pathlib import Path

    from torch import Tensor

StateDict = dict[str, "Tensor"]

WORDS = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}
"""torch's types in safetensors' words, which `EXPONENTS` has"""


def read_state_dict(folder: Path) -> StateDict:
    """All weights of a folder under the names that its files give them; nothing is unpickled.

    Raises:
        BaseModelProblem: as `read_files` does.
    """
    return {key: weight for part in read_files(folder).values() for key, weight in part.items()}


def read_files(folder: Path) -> dict[str, StateDict]:
    """The weights by the file that holds them, mapped into memory instead of read.

    Raises:
        BaseModelProblem: a file is missing, damaged, holds more than weights, or is not what the
            index says of it.
    """
    files = {name: _read(folder / name) for name in weight_files(folder)}
    compare_with_index(folder, files)
    return files


def stored(state: StateDict) -> dict[str, Stored]:
    """The weights as the header of a file would describe them."""
    return {
        name: Stored(
            WORDS.get(weight.dtype, str(weight.dtype).removeprefix("torch.")), tuple(weight.shape)
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
            "take the weights as they were released, not quantised and without an optimizer",
        )
    return content


def _read_pickled(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
