"""Export in a process of its own: one JSON document on stdout says how it went."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from fintts_store.errors import StoreError
from fintts_trainer.errors import BaseModelProblem, TrainerError
from fintts_trainer.families import open_base
from fintts_trainer.families.fish import FishBase
from fintts_trainer.families.fish.merge import merge

if TYPE_CHECKING:
    from pathlib import Path


def merge_folders(base_folder: Path, adapter: Path, target: Path) -> int:
    """Writes the merged weights of a Fish Speech model into `target`; how many were merged.

    Raises:
        BaseModelProblem: the base model is of another family, or does not go with the adapter.
        StoreError: the files cannot be written.
    """
    base = open_base(base_folder)
    if not isinstance(base, FishBase):
        raise BaseModelProblem(
            f"a model of the family {base.shape.family} cannot be written in Fish Speech's format",
            "--format peft exports the adapter of any model",
        )
    return merge(base, adapter, target)


def main(base_folder: Path, adapter: Path, target: Path) -> int:
    """Says on stdout how many matrices were merged, or the error; returns 0 or 1."""
    try:
        answer: dict[str, object] = {"merged": merge_folders(base_folder, adapter, target)}
    except (TrainerError, StoreError) as error:
        answer = {"error": error.message, "hint": error.hint}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1 if "error" in answer else 0
