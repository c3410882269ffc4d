"""Base model families: the code that knows the shape of the frozen weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_trainer.errors import BaseModelProblem
from fintts_trainer.families.csm import CsmFamily
from fintts_trainer.families.fish import FishFamily
from fintts_trainer.shape import ModelShape

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_trainer.families.base import BaseModel, BaseModelFamily

FAMILIES: dict[str, BaseModelFamily] = {
    family.name: family for family in (FishFamily(), CsmFamily())
}


def open_base(folder: Path) -> BaseModel:
    """Reads configuration and tokenizer of a base model's folder, by the family that it is of.

    Raises:
        BaseModelProblem: a file is missing or malformed, or no family knows such a model.
    """
    if not folder.is_dir():
        raise BaseModelProblem(
            f"there is no base model folder {folder}",
            "set base_model to the folder that holds config.json, the weights and the tokenizer",
        )
    return FAMILIES[ModelShape.read(folder).family].open(folder)
