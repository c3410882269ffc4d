"""Base model families: the code that knows the shape of the frozen weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.base_model.families import read_shape
from fintts_trainer.families.csm import CsmFamily
from fintts_trainer.families.fish import FishFamily

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_inputs.prompts import Prompt
    from fintts_trainer.families.base import BaseModel, BaseModelFamily

FAMILIES: dict[str, BaseModelFamily] = {
    family.name: family for family in (FishFamily(), CsmFamily())
}


def open_base(folder: Path, prompt: Prompt | None = None) -> BaseModel:
    """Reads configuration and tokenizer of a base model's folder, by the family that it is of.

    Args:
        prompt: that the run began with; None is the one that the model is served with.

    Raises:
        FolderMissing: there is no such folder.
        BaseModelProblem: a file is missing or malformed, or no family knows such a model.
    """
    return FAMILIES[read_shape(folder).family].open(folder, prompt)
