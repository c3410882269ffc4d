"""Exchanges files with Fish Speech's own tools: a merged model, and a LoRA of its trainer.

The laptop runs this in a separate process, which reports with one JSON document on stdout.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from fintts_inputs.errors import BaseModelProblem, InputError
from fintts_store.errors import StoreError
from fintts_trainer.errors import TrainerError
from fintts_trainer.families import open_base
from fintts_trainer.families.fish import FishBase
from fintts_trainer.families.fish.merge import merge
from fintts_trainer.families.fish.reference_lora import ITS_BASE, import_reference_lora

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fintts_inputs.config import LoraConfig


def print_outcome(work: Callable[[], int]) -> int:
    """Prints how much was done (`{"done": 458}`), or the error and its hint; returns 0 or 1."""
    try:
        content: dict[str, object] = {"done": work()}
    except (InputError, TrainerError, StoreError) as error:
        content = {"error": error.message, "hint": error.hint}
    sys.stdout.write(json.dumps(content) + "\n")
    return 1 if "error" in content else 0


def merge_folders(base_folder: Path, adapter: Path, target: Path) -> int:
    """Writes the merged weights of a Fish Speech model into `target`; returns their number.

    Raises:
        BaseModelProblem: the base model is of another family, or does not fit the adapter.
        StoreError: the files cannot be written.
    """
    base = open_base(base_folder)
    if not isinstance(base, FishBase):
        raise BaseModelProblem(
            f"a model of the family {base.shape.family} cannot be written in Fish Speech's format",
            "--format peft exports the adapter of any model",
        )
    return merge(base, adapter, target)


def import_lora(base_folder: Path, checkpoint: Path, lora: LoraConfig, target: Path) -> int:
    """Writes a LoRA of Fish Speech's trainer as PEFT's files into `target`; returns its size.

    Raises:
        BaseModelProblem: the base model is of another family, or does not fit the adapter.
    """
    base = open_base(base_folder)
    if not isinstance(base, FishBase):
        raise BaseModelProblem(
            f"{checkpoint} is a checkpoint of Fish Speech's trainer, but {base_folder} has a "
            f"model of the family {base.shape.family}",
            ITS_BASE,
        )
    return import_reference_lora(base, checkpoint, lora, target)
