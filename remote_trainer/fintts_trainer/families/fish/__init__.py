"""Fish Speech dual-AR models (1.5, OpenAudio S1-mini) on the blocks of transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_trainer.errors import BaseModelProblem
from fintts_trainer.families.fish.model import Batch, DualAR, Predictions, build
from fintts_trainer.families.fish.prompt import Example, encode
from fintts_trainer.families.fish.tokenizer import FishTokenizer
from fintts_trainer.families.fish.weights import load_into, read_state_dict
from fintts_trainer.shape import ModelShape

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = [
    "Batch",
    "DualAR",
    "Example",
    "FishBase",
    "FishTokenizer",
    "Predictions",
    "encode",
    "open_base",
]


@dataclass(frozen=True)
class FishBase:
    """A base model's folder, understood but not loaded."""

    folder: Path
    shape: ModelShape
    tokenizer: FishTokenizer

    def load(self, dtype: torch.dtype) -> DualAR:
        """The model with its frozen weights in `dtype`, on the CPU.

        Raises:
            BaseModelProblem: weights are missing, unexpected or misshapen.
        """
        model = build(self.shape, self.tokenizer)
        load_into(model, read_state_dict(self.folder))
        model.add_tables()
        return model.to(dtype).requires_grad_(requires_grad=False)


def open_base(folder: Path) -> FishBase:
    """Reads configuration and tokenizer of a base model's folder.

    Raises:
        BaseModelProblem: a file is missing or malformed, or the two do not fit each other.
    """
    if not folder.is_dir():
        raise BaseModelProblem(
            f"there is no base model folder {folder}",
            "set base_model to the folder that holds config.json, model.pth and the tokenizer",
        )
    shape = ModelShape.read(folder)
    tokenizer = FishTokenizer.read(folder, shape.codebook_size)
    if tokenizer.size > shape.vocab_size:
        raise BaseModelProblem(
            f"the tokenizer of {folder} has ids up to {tokenizer.size - 1}, "
            f"but the model knows {shape.vocab_size}"
        )
    return FishBase(folder, shape, tokenizer)
