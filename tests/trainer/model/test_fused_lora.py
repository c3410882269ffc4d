"""The one-node adapted linear is PEFT's own: values, gradients, files, and where it steps aside."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor

from adapters import adapted, held_bytes
from fintts_inputs.config import LoraConfig
from fintts_trainer.data.batches import collate
from fintts_trainer.families.base import Batch, Example, Predictions
from fintts_trainer.families.fish import FishBase
from fintts_trainer.model.fused_lora import AdaptedLinear, fuse_adapted_linears
from fintts_trainer.model.joined import Adapter
from fintts_trainer.model.lora import read_adapter, trainable, write_adapter


def loss_and_gradients(model: PeftModel, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    predictions: Predictions = model(batch)
    loss = predictions.losses()["token"].total / 10 + predictions.losses()["code"].total / 40
    torch.autograd.backward(loss)
    found = {name: one.grad for name, one in trainable(model).items() if one.grad is not None}
    return loss.detach(), found


@pytest.mark.parametrize("targets", [("attention", "mlp"), ("attention", "mlp", "embeddings")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loss_and_gradients_are_peft_s(
    base: FishBase, examples: list[Example], dtype: torch.dtype, targets: tuple[str, ...]
) -> None:
    config = LoraConfig.model_validate({"targets": targets})
    plain, fused = (adapted(base.load(dtype), config) for _ in range(2))
    fuse_adapted_linears(fused)
    batch = collate(examples)
    wanted, found = loss_and_gradients(plain, batch), loss_and_gradients(fused, batch)
    tight = dtype == torch.float32
    torch.testing.assert_close(found[0], wanted[0], atol=1e-4 if tight else 0.05, rtol=0)
    assert found[1].keys() == wanted[1].keys() == trainable(fused).keys()
    for name, gradient in found[1].items():
        size = wanted[1][name].abs().max()
        assert (gradient - wanted[1][name]).abs().max() < (1e-5 if tight else 0.1) * size, name
        assert gradient.dtype == torch.float32


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_its_gradient_is_the_derivative(dropout: float) -> None:
    """Of rows and adapter, with the same mask at each call."""
    adapter = Adapter(rank=2, inputs=4, outputs=3, dropout=dropout)
    torch.manual_seed(1)
    rows, down, up = (
        torch.randn(size, dtype=torch.float64, requires_grad=True)
        for size in ((5, 4), (2, 4), (2, 3))
    )
    weight = torch.randn(3, 4, dtype=torch.float64)

    def product(*inputs: Tensor) -> Tensor:
        torch.manual_seed(3)
        rows, down, up = inputs
        return AdaptedLinear.apply(rows, weight, down, up, adapter)  # type: ignore[no-untyped-call, no-any-return]

    assert torch.autograd.gradcheck(product, (rows, down, up))


def test_less_is_kept_for_backward(base: FishBase, examples: list[Example]) -> None:
    model = adapted(base.load(torch.bfloat16))
    before = held_bytes(model, collate(examples))
    fuse_adapted_linears(model)
    assert held_bytes(model, collate(examples)) < 0.8 * before


def test_files_are_peft_s(base: FishBase, examples: list[Example], tmp_path: Path) -> None:
    model = adapted(base.load(torch.float32))
    names = list(model.state_dict())
    fuse_adapted_linears(model)
    assert list(model.state_dict()) == names
    write_adapter(model, tmp_path)
    other = adapted(base.load(torch.float32))
    for parameter in trainable(other).values():
        parameter.data.zero_()
    read_adapter(other, tmp_path)
    with torch.no_grad():
        wanted, found = model(collate(examples)), other(collate(examples))
    torch.testing.assert_close(found.logits()["token"], wanted.logits()["token"], atol=1e-4, rtol=0)


def test_dropout_is_peft_s(base: FishBase, examples: list[Example]) -> None:
    """With PEFT's own masks for a layer alone; none outside of training."""
    config = LoraConfig(dropout=0.5)
    plain, fused = (adapted(base.load(torch.float32), config) for _ in range(2))
    assert fuse_adapted_linears(fused) == 0
    batch, results = collate(examples), []
    for model in (plain, fused):
        torch.manual_seed(5)
        results.append(loss_and_gradients(model, batch))
    torch.testing.assert_close(*results)
    spoken = [loss_and_gradients(model.eval(), batch) for model in (plain, fused)]
    torch.testing.assert_close(*spoken)
    assert spoken[0][0] != results[0][0]


def test_disabled_and_merged_adapters_are_left_to_peft(
    base: FishBase, examples: list[Example]
) -> None:
    model, batch = adapted(base.load(torch.float32)), collate(examples)
    fuse_adapted_linears(model)
    alone = base.load(torch.float32)
    with torch.no_grad():
        with model.disable_adapter():
            torch.testing.assert_close(
                model(batch).logits()["token"], alone(batch).logits()["token"]
            )
        wanted = model(batch).logits()["token"]
        model.merge_adapter()
        torch.testing.assert_close(model(batch).logits()["token"], wanted, atol=1e-4, rtol=0)
