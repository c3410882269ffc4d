"""Merges an adapter into a Fish Speech model, and writes the base model's files anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import torch
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import save_file

from fintts_inputs.base_model.files import PICKLED
from fintts_inputs.base_model.fish.weights import spelling_of
from fintts_inputs.base_model.matrices import PEFT_PREFIX
from fintts_inputs.errors import BaseModelProblem
from fintts_store.disk.errors import explained
from fintts_store.errors import StoreFull
from fintts_trainer.families.fish.weights import from_fish, to_fish
from fintts_trainer.families.weight_files import joined, read_files
from fintts_trainer.model.lora import open_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from peft import PeftModel
    from torch import Tensor

    from fintts_trainer.families.fish import FishBase
    from fintts_trainer.families.weight_files import StateDict


class AdaptedLayer(Protocol):
    """PEFT's linear and embedding layers."""

    def get_delta_weight(self, adapter: str) -> Tensor:
        """The difference that the adapter makes to the layer's weight, in its shape."""
        ...


def merge(base: FishBase, adapter: Path, target: Path) -> int:
    """Writes the base model's weight files into `target` with the adapter merged; returns the
    number of merged matrices.

    Each sum is computed in float32 and written in the type of the base model's file; weights
    without an adapter are copied bit for bit.

    Raises:
        BaseModelProblem: the adapter does not fit, holds numbers that are not finite, or changes
            nothing.
        StoreError: the files cannot be written.
    """
    files = read_files(base.folder)
    state = joined(files)
    ours = from_fish(state, base.shape)
    layers = _layers(open_adapter(base.load(_type_of(state)), adapter))
    changed = 0
    for name, layer in layers.items():
        merged = _sum(name, ours[name], _delta(layer))
        changed += not torch.equal(merged, ours[name])
        ours[name] = merged
    if not changed:
        raise BaseModelProblem(
            f"the adapter in {adapter} does not change the base model",
            "export a later step, or use --format peft, which exports the adapter as it is",
        )
    merged_state = to_fish(ours, base.shape, spelling_of(state))
    for name, part in files.items():
        _write(target / name, {key: merged_state[key] for key in part})
    return len(layers)


def _layers(adapted: PeftModel) -> dict[str, AdaptedLayer]:
    """The layers with an adapter, by our names of their weights."""
    return {
        f"{name.removeprefix(PEFT_PREFIX)}.weight": cast("AdaptedLayer", layer)
        for name, layer in adapted.named_modules()
        if isinstance(layer, LoraLayer)
    }


def _delta(layer: AdaptedLayer) -> Tensor:
    with torch.no_grad():
        return layer.get_delta_weight("default").float()


def _type_of(state: StateDict) -> torch.dtype:
    return next(iter(state.values())).dtype


def _sum(name: str, weight: Tensor, delta: Tensor) -> Tensor:
    merged = (weight.float() + delta).to(weight.dtype)
    if not bool(merged.isfinite().all()):
        raise BaseModelProblem(
            f"{name} would have values that are not finite after the merge",
            "export an earlier step",
        )
    return merged


def _write(path: Path, weights: StateDict) -> None:
    plain = {key: _alone(weight) for key, weight in weights.items()}
    with explained(path):
        if path.name == PICKLED:
            with path.open("wb") as file:
                torch.save(plain, file)
        else:
            _save_safetensors(plain, path)


def _save_safetensors(weights: StateDict, path: Path) -> None:
    try:
        save_file(weights, path, metadata={"format": "pt"})
    except SafetensorError as error:  # its text contains the operating system's error
        raise StoreFull(f"{path} cannot be written: {error}", "free some space there") from None


def _alone(weight: Tensor) -> Tensor:
    """A contiguous tensor with its own memory: torch.save writes a view's whole storage."""
    whole = weight.untyped_storage().nbytes() == weight.nbytes and weight.is_contiguous()
    return weight if whole else weight.clone(memory_format=torch.contiguous_format)
