"""Base model families: the code that knows the shape of the frozen weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.base_model.families import read_config
from fintts_trainer.families.csm import CsmFamily
from fintts_trainer.families.fish import FishFamily

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_inputs.base_model.families import BaseModelConfig
    from fintts_inputs.prompts import Prompt
    from fintts_trainer.families.base import BaseModel, BaseModelFamily

FAMILIES: dict[str, BaseModelFamily] = {
    family.name: family for family in (FishFamily(), CsmFamily())
}


def open_base(folder: Path, prompt: Prompt | None = None) -> BaseModel:
    """Reads configuration and tokenizer of a base model's folder, but not its weights.

    Args:
        prompt: the prompt of the run; None is the one that the model is served with.

    Raises:
        FolderMissing: there is no such folder.
        BaseModelProblem: a file is missing or malformed, or no family supports the model.
    """
    return open_configured(read_config(folder), prompt)


def open_configured(config: BaseModelConfig, prompt: Prompt | None = None) -> BaseModel:
    """The same for a config.json that was read before.

    Raises:
        BaseModelProblem: a file is missing or malformed.
    """
    return FAMILIES[config.shape.family].open(config, prompt)
