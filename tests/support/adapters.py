"""Adapters that change the output, and what a step with one holds."""

from __future__ import annotations

import torch
from peft import PeftModel
from torch import Tensor

from fintts_inputs.config import LoraConfig
from fintts_trainer.families.base import Batch, Predictions
from fintts_trainer.families.fish import TARGETS
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.model.lora import add_adapter, trainable


def adapted(model: DualAR, config: LoraConfig | None = None) -> PeftModel:
    """With an adapter that changes the output: no B is zero."""
    found = add_adapter(model, TARGETS, config or LoraConfig(), base_name="tiny", seed=1)
    randomise(found)
    return found.train()


def randomise(model: PeftModel) -> None:
    """Gives each of the adapter's parameters numbers of its own."""
    for number, parameter in enumerate(trainable(model).values()):
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))


def held_bytes(model: PeftModel, batch: Batch) -> int:
    """What forward keeps for backward, beside the parameters."""
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(one: Tensor) -> Tensor:
        kept[one.untyped_storage().data_ptr()] = one
        return one

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
        predictions: Predictions = model(batch)
        loss = predictions.losses()["token"].total
    del loss
    return sum(one.untyped_storage().nbytes() for key, one in kept.items() if key not in own)
