"""The adapter: PEFT's LoRA on a base model, in PEFT's own files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from fintts_inputs.base_model.adapter import ADAPTER_CONFIG, ADAPTER_FILE, read_plain_config
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from peft import PeftConfig
    from torch import Tensor, nn

    from fintts_inputs.config import LoraConfig, Target

ALWAYS = ("peft_type", "base_model_name_or_path", "r", "lora_alpha", "lora_dropout", "bias")
"""Keys of adapter_config.json that are always written, since PEFT has changed their defaults."""


def add_adapter(
    model: nn.Module,
    targets: Mapping[Target, tuple[str, ...]],
    config: LoraConfig,
    *,
    base_name: str,
    seed: int,
) -> PeftModel:
    """Adds a LoRA to a loaded model. It changes nothing at first: B = 0, and A is random.

    The adapter is float32 also on a bfloat16 base: in bfloat16, 1 + 1e-4 rounds to 1, so a step of
    that size would change nothing.

    Args:
        targets: the family's module names for each of the configuration's targets.
        base_name: the base model's name, for adapter_config.json.
        seed: for A.
    """
    torch.manual_seed(seed)
    peft_config = PeftLoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=[name for target in config.targets for name in targets[target]],
    )
    adapted = get_peft_model(model, peft_config)
    # PEFT takes the name from an attribute that our models do not have.
    adapted.peft_config["default"].base_model_name_or_path = base_name
    return adapted


def trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The adapter's parameters by name, in a fixed order."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def write_adapter(
    model: PeftModel, folder: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes adapter_model.safetensors and adapter_config.json.

    Args:
        metadata: goes into the header of the weights, for a run that starts from this adapter.
    """
    # Otherwise PEFT would add whole embedding matrices to the adapter.
    weights: dict[str, Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    contiguous = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    save_adapter(contiguous, model.peft_config["default"], folder, metadata)


def save_adapter(
    weights: Mapping[str, Tensor],
    config: PeftConfig,
    folder: Path,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes the two files of an adapter.

    Args:
        weights: by PEFT's names.
    """
    header = {"format": "pt", **(metadata or {})}
    (folder / ADAPTER_FILE).write_bytes(_in_fixed_order(save(dict(weights), metadata=header)))
    text = json.dumps(_portable(config), indent=2, sort_keys=True)
    (folder / ADAPTER_CONFIG).write_text(text, encoding="utf-8")


def _portable(config: PeftConfig) -> dict[str, object]:
    """The configuration without PEFT's default values: most versions of PEFT refuse a file with a
    key that they do not know. `OLDEST_PEFT` knows the remaining keys."""
    defaults = type(config)().to_dict()
    # PEFT saves it so: an adapter is opened for use, not for training.
    content = {**config.to_dict(), "inference_mode": True}
    return {
        key: sorted(value) if isinstance(value, set) else value
        for key, value in content.items()
        if key in ALWAYS or value != defaults[key]
    }


def _in_fixed_order(content: bytes) -> bytes:
    """The same safetensors with sorted metadata. The library writes the keys in a random order, but
    the same adapter must give the same bytes."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return content[:8] + text.ljust(size) + content[8 + size :]


def open_adapter(model: nn.Module, folder: Path) -> PeftModel:
    """Adds the adapter of a folder, as its adapter_config.json describes it.

    Raises:
        BaseModelProblem: the adapter is damaged, not a plain LoRA, or of another base model.
    """
    read_plain_config(folder)
    try:
        config = PeftLoraConfig.from_pretrained(str(folder))
        # PEFT would warn that our model has no name to compare.
        config.base_model_name_or_path = None
        adapted: PeftModel = get_peft_model(model, config)
    except (OSError, TypeError, ValueError) as error:
        raise BaseModelProblem(f"the adapter in {folder} cannot be opened: {error}") from None
    read_adapter(adapted, folder)
    return adapted


def read_adapter(model: PeftModel, folder: Path) -> None:
    """Loads an adapter of the same shape, strictly.

    Raises:
        BaseModelProblem: it is damaged, or has missing, unexpected or misshapen weights.
    """
    try:
        weights = load_file(str(folder / ADAPTER_FILE))
    except (OSError, SafetensorError) as error:
        raise BaseModelProblem(f"the adapter in {folder} cannot be read: {error}") from None
    expected = get_peft_model_state_dict(model, save_embedding_layers=False).keys()
    if weights.keys() != expected:
        differing = sorted(weights.keys() ^ expected)
        raise BaseModelProblem(
            f"the adapter in {folder} does not fit: {len(differing)} weights differ, "
            f"the first is {differing[0]}",
            "use it with its own base model and the lora section of its run",
        )
    try:
        set_peft_model_state_dict(model, weights)
    except RuntimeError as error:  # torch names a weight after a line of heading
        sentence = " ".join(str(error).split("\n\t")[-1].split())
        raise BaseModelProblem(f"the adapter in {folder} does not fit: {sentence}") from None
