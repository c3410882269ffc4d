"""An adapter to begin with, in PEFT's files: whether it goes with the base model and the run.

Seen without torch, so that the laptop finds what an instance would refuse.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from fintts_trainer.errors import BaseModelProblem
from fintts_trainer.links import refuse_links_out
from fintts_trainer.shape import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_trainer.config import LoraConfig
    from fintts_trainer.shape import ModelShape

ADAPTER_CONFIG, ADAPTER_FILE = "adapter_config.json", "adapter_model.safetensors"
BASE_DIGEST = "base_model_digest"
"""the key, in the weights' own metadata, of the base model that they were trained on"""
AS_PEFT = "give a folder as `fintts cloud pull-checkpoints` or `fintts export` writes it"


class AdapterConfigFile(BaseModel):
    """adapter_config.json of PEFT: what the weights mean."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    peft_type: Literal["LORA"]
    r: int
    lora_alpha: float
    use_dora: bool = False
    use_rslora: bool = False
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}

    @property
    def is_plain(self) -> bool:
        """Whether every matrix is W + (alpha / rank) B A, with one rank and one alpha."""
        return not (self.use_dora or self.use_rslora or self.rank_pattern or self.alpha_pattern)


def check_initial_adapter(folder: Path, shape: ModelShape, lora: LoraConfig) -> None:
    """Whether a run with this `lora` section can begin with the adapter.

    Raises:
        BaseModelProblem: a file is missing, damaged or a link out of the folder, or rank, alpha,
            targets or the base model are others.
    """
    refuse_links_out(folder, (ADAPTER_CONFIG, ADAPTER_FILE))
    config = _read_config(folder)
    if not config.is_plain:
        raise BaseModelProblem(
            f"the adapter in {folder} is no plain LoRA: DoRA, rsLoRA, and ranks or alphas of its "
            "own for some matrices are not supported",
            AS_PEFT,
        )
    _refuse_other(folder, "rank", config.r, lora.rank)
    _refuse_other(folder, "alpha", config.lora_alpha, lora.alpha)
    found, wanted = _parameters(folder), shape.lora_parameters(lora.rank, lora.targets)
    if found != wanted:
        raise BaseModelProblem(
            f"the adapter in {folder} has {found:,} parameters, but lora.targets "
            f"({', '.join(lora.targets)}) on this base model make {wanted:,}",
            "set lora.targets to what it was trained with, and base_model to its base model",
        )


def base_digest_of(folder: Path) -> str | None:
    """The base model that the adapter was trained on; None where its file does not say.

    Raises:
        BaseModelProblem: the file is missing or damaged.
    """
    path = folder / ADAPTER_FILE
    try:
        with safe_open(path, framework="numpy") as file:
            said: str | None = (file.metadata() or {}).get(BASE_DIGEST)
            return said
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None


def _read_config(folder: Path) -> AdapterConfigFile:
    path = folder / ADAPTER_CONFIG
    if not path.is_file():
        raise BaseModelProblem(f"there is no adapter in {folder}: it has no {path.name}", AS_PEFT)
    try:
        return AdapterConfigFile.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise BaseModelProblem(f"{path}: {key}: {first['msg']}", AS_PEFT) from None


def _parameters(folder: Path) -> int:
    path = folder / ADAPTER_FILE
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            return sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> BaseModelProblem:
    return BaseModelProblem(f"the adapter {path} cannot be read: {error}", AS_PEFT)


def _refuse_other(folder: Path, key: str, found: float, wanted: float) -> None:
    if found != wanted:
        raise BaseModelProblem(
            f"the adapter in {folder} has {key} {found:g}, but lora.{key} is {wanted:g}",
            f"set lora.{key} to {found:g}: an adapter goes on as it was begun",
        )
