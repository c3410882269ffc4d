"""Checks whether an initial adapter in PEFT's files fits the base model and the run.

This needs no torch, so the laptop finds what an instance would refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from fintts_inputs.base_model.adapter_keys import refuse_other_meaning
from fintts_inputs.base_model.matrices import adapter_tensors
from fintts_inputs.base_model.reading import read_json
from fintts_inputs.base_model.tensors import misfit, not_finite, read_header
from fintts_inputs.errors import BaseModelProblem
from fintts_inputs.links import refuse_links_out
from fintts_inputs.prompts import prompt_begun_with

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.config import LoraConfig
    from fintts_inputs.prompts import Prompt

ADAPTER_CONFIG, ADAPTER_FILE = "adapter_config.json", "adapter_model.safetensors"
BASE_DIGEST = "base_model_digest"
"""key of the base model's digest in the metadata of the weights"""
PROMPT = "prompt"
"""key of the prompt there"""
OLDEST_PEFT = "0.6.2"
"""The oldest PEFT that opens our adapters and computes the same outputs."""
VALUES = {
    "peft_type": "'LORA': no other kind of adapter can be trained further",
    "r": "a whole number of at least 1",
    "lora_alpha": "a number above 0",
}
"""the valid values of the keys that are compared with a run"""
AS_PEFT = "give a folder from `fintts cloud pull-checkpoints` or `fintts export`"


class AdapterConfigFile(BaseModel):
    """The part of PEFT's adapter_config.json that is compared with a run."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)

    peft_type: Literal["LORA"]
    r: Annotated[int, Field(ge=1)]
    lora_alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)]


def check_initial_adapter(folder: Path, shape: ModelShape, lora: LoraConfig) -> None:
    """Checks that a run with this `lora` section can start from the adapter: the meaning, names,
    shapes and types of its matrices, and that all values are finite.

    Raises:
        BaseModelProblem: a file is missing, damaged or a link out of the folder; it is not plain
            LoRA; or rank, alpha, targets or the base model are others.
    """
    config = read_plain_config(folder)
    _refuse_other(folder, "rank", config.r, lora.rank)
    _refuse_other(folder, "alpha", config.lora_alpha, lora.alpha)
    path = folder / ADAPTER_FILE
    problem = misfit(read_header(path, AS_PEFT), adapter_tensors(shape, lora))
    if problem is not None:
        raise BaseModelProblem(
            f"the adapter in {folder} does not fit: of lora.targets ({', '.join(lora.targets)}) "
            f"on this base model, {problem}",
            "set lora.targets to its own targets, and base_model to its base model",
        )
    for name in not_finite(path):
        raise BaseModelProblem(
            f"the adapter in {folder} has values that are not finite in {name}",
            "use an earlier checkpoint",
        )


def read_plain_config(folder: Path) -> AdapterConfigFile:
    """Reads the adapter_config.json of a plain LoRA.

    Raises:
        BaseModelProblem: it is missing, damaged or a link out of the folder, or the adapter is
            another kind.
    """
    refuse_links_out(folder, (ADAPTER_CONFIG, ADAPTER_FILE))
    path = folder / ADAPTER_CONFIG
    if not path.is_file():
        raise BaseModelProblem(f"there is no adapter in {folder}: it has no {path.name}", AS_PEFT)
    try:
        content = read_json(path)
    except BaseModelProblem as error:  # whose hint is about a base model
        raise BaseModelProblem(error.message, AS_PEFT) from None
    try:
        config = AdapterConfigFile.model_validate(content)
        refuse_other_meaning(folder, TypeAdapter(dict[str, object]).validate_python(content))
    except ValidationError as error:
        raise BaseModelProblem(f"{path}: {_wrong_key(error.errors()[0])}", AS_PEFT) from None
    return config


def _wrong_key(detail: ErrorDetails) -> str:
    """The problem of a key, as a sentence."""
    key = ".".join(map(str, detail["loc"]))
    if key not in VALUES:
        return "it is not a JSON object"
    if detail["type"] == "missing":
        return f"it has no {key}"
    return f"{key} is {detail['input']!r}, but must be {VALUES[key]}"


def base_digest_of(folder: Path) -> str | None:
    """The digest of the adapter's base model; None if its file does not contain it.

    Raises:
        BaseModelProblem: the file is missing or damaged.
    """
    return _said_by(folder).get(BASE_DIGEST)


def prompt_of_adapter(folder: Path, known: Sequence[Prompt]) -> Prompt | None:
    """The prompt that the adapter was trained with; None if fintts did not train it.

    Args:
        known: of the base model's family.

    Raises:
        BaseModelProblem: the file is missing or damaged.
        ConfigurationChanged: it names a prompt that this version does not know.
    """
    said = _said_by(folder)
    if not said.keys() & {BASE_DIGEST, PROMPT}:
        return None
    return prompt_begun_with(said.get(PROMPT), known)


def of_other_prompt(folder: Path, prompt: Prompt, known: Sequence[Prompt]) -> str | None:
    """A note if fintts trained the adapter with another prompt than the run's.

    Args:
        prompt: of the run.
        known: of the base model's family.

    Raises:
        BaseModelProblem: the file is missing or damaged.
        ConfigurationChanged: it names a prompt that this version does not know.
    """
    begun = prompt_of_adapter(folder, known)
    if begun in (None, prompt):
        return None
    return (
        f"the initial adapter was trained with the prompt {begun}, but the run trains with {prompt}"
    )


def _said_by(folder: Path) -> dict[str, str]:
    """The metadata of the weights."""
    path = folder / ADAPTER_FILE
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise BaseModelProblem(f"the adapter {path} cannot be read: {error}", AS_PEFT) from None


def _refuse_other(folder: Path, key: str, found: float, wanted: float) -> None:
    if found != wanted:
        raise BaseModelProblem(
            f"the adapter in {folder} has {key} {found:g}, but lora.{key} is {wanted:g}",
            f"set lora.{key} to {found:g}; an adapter keeps its own",
        )
