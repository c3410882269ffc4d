"""Fused layers are transformers' own with PEFT's adapter: losses, gradients, files, and weights
that take their memory once."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from peft.tuners.lora import Linear
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from adapters import randomise
from checks import every
from fintts_inputs.base_model.families import read_config
from fintts_inputs.config import LoraConfig, Target
from fintts_trainer.data.batches import collate
from fintts_trainer.families.base import BaseModel, Batch, Predictions
from fintts_trainer.families.csm import CsmFamily
from fintts_trainer.model.flat_adapter import FlatAdapter
from fintts_trainer.model.fused_layers import FusedLayer, fuse_layers, make_room
from fintts_trainer.model.joined import base_weight
from fintts_trainer.model.layer_nodes import rotate
from fintts_trainer.model.lora import add_adapter, trainable
from fintts_trainer.model.optimizer import BETAS
from fintts_trainer.model.recompute import recompute_layers
from fintts_trainer.model.rms_norm import norm_gradient, normed
from tiny_csm import write_tiny_csm
from tiny_fish import write_fish

KINDS = ("llama", "qwen3", "csm")
INNER: tuple[Target, ...] = ("attention", "mlp")
EVERY: tuple[Target, ...] = (*INNER, "embeddings", "heads")


def opened(kind: str, folder: Path) -> BaseModel:
    """A tiny model of this kind of layers."""
    if kind == "csm":
        return CsmFamily().open(read_config(write_tiny_csm(folder)))
    return write_fish(folder, torch.float32, attention_qk_norm=kind == "qwen3")


def with_adapter(
    base: BaseModel, dtype: torch.dtype = torch.float32, config: LoraConfig | None = None
) -> PeftModel:
    """With an adapter that changes the output."""
    config = config or LoraConfig(rank=3)
    model = add_adapter(base.load(dtype), base.targets, config, base_name="tiny", seed=1)
    randomise(model)
    return model.train()


def layers_of(model: nn.Module) -> list[FusedLayer]:
    return [one for one in model.modules() if isinstance(one, FusedLayer)]


def batch_for(base: BaseModel) -> Batch:
    generator, codebooks = np.random.default_rng(2), base.shape.num_codebooks
    codes = [generator.integers(0, 30, (codebooks, frames)) for frames in (6, 11)]
    return collate([base.encode("sanat sulavat", code) for code in codes])


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    losses = cast("Predictions", model(batch)).losses()
    return losses["token"].total / 10 + losses["code"].total / 40


def gradients(model: PeftModel, batch: Batch) -> dict[str, Tensor]:
    """The loss, and the gradient of each of the adapter's parameters."""
    loss = loss_of(model, batch)
    torch.autograd.backward(loss)
    found = {name: one.grad for name, one in trainable(model).items() if one.grad is not None}
    return {"loss": loss.detach(), **found}


def moments_of(model: PeftModel, adapter: FlatAdapter, batch: Batch) -> dict[str, Tensor]:
    """The same of a model with one tensor for the adapter, from AdamW's first moments."""
    model.zero_grad()
    loss = loss_of(model, batch)
    torch.autograd.backward(loss)
    adapter.collect()
    adapter.update(0.0, float("inf"), torch.ones(2))
    moments = adapter.moments()
    share = 1 - BETAS[0]
    found = {name: moments[f"{name}.exp_avg"] / share for name in trainable(model)}
    return {"loss": loss.detach(), **found}


@pytest.mark.parametrize("targets", [EVERY, ("attention",), ("mlp", "heads")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_are_peft_s(
    tmp_path: Path, kind: str, dtype: torch.dtype, targets: tuple[Target, ...]
) -> None:
    base, config = opened(kind, tmp_path / "base"), LoraConfig(rank=3, targets=targets)
    batch, (plain, fused) = batch_for(base), (with_adapter(base, dtype, config) for _ in range(2))
    assert fuse_layers(fused) == 0
    assert len(layers_of(fused)) == base.shape.slow.layers + base.shape.fast.layers
    assert list(fused.state_dict()) == list(plain.state_dict())
    wanted, found = gradients(plain, batch), gradients(fused, batch)
    assert found.keys() == wanted.keys()
    limit = 1e-5 if dtype == torch.float32 else 0.1
    make_room(fused)
    flat = FlatAdapter(fused, 1e-3)
    joined = [one for layer in layers_of(fused) for one in layer.parts.joined]
    assert every((one.room is not None) == (one.adapter.rank > 0) for one in joined)
    together = moments_of(fused, flat, batch)
    for name, mine in found.items():
        for one in (mine, together[name]):
            assert (one - wanted[name]).abs().max() < limit * wanted[name].abs().max(), name


@pytest.mark.parametrize("kind", KINDS)
def test_recomputed_layers_have_the_same_gradients(tmp_path: Path, kind: str) -> None:
    base = opened(kind, tmp_path / "base")
    config = LoraConfig(rank=3, dropout=0.3)
    batch, models = batch_for(base), [with_adapter(base, config=config) for _ in range(2)]
    found = list[dict[str, Tensor]]()
    for model in models:
        assert fuse_layers(model) == 0
    recompute_layers(models[1])
    for model in models:
        torch.manual_seed(7)
        found.append(gradients(model, batch))
    for name, one in found[0].items():
        torch.testing.assert_close(one, found[1][name], msg=name)


def test_weights_are_views_of_the_joined_ones_also_after_a_move(tmp_path: Path) -> None:
    base = opened("qwen3", tmp_path / "base")
    model, other = with_adapter(base), with_adapter(base)
    before = sum(storages(model).values())
    fuse_layers(model)
    after = sum(storages(model).values())
    assert after <= before
    make_room(model)
    products = [one for layer in layers_of(model) for one in layer.parts.joined]
    for product in products:
        assert product.room is not None
        parts = [product.weight, product.room, *map(base_weight, product.linears)]
        assert every(inside(part, product.rows) for part in parts)
    for moved in (model, model.double(), model.float()):
        for layer in layers_of(moved):
            for joined in layer.parts.joined:
                for linear in joined.linears:
                    assert inside(base_weight(linear), joined.weight)
    for (name, mine), one in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, one), name


def storages(model: nn.Module) -> dict[int, int]:
    """Bytes of the distinct blocks of memory that a model holds."""
    tensors = [*model.parameters(), *model.buffers()]
    for layer in layers_of(model):
        tensors += layer.parts.weights
    blocks = [one.untyped_storage() for one in tensors]
    return {block.data_ptr(): block.nbytes() for block in blocks}


def inside(part: Tensor, whole: Tensor) -> bool:
    return part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()


@pytest.mark.parametrize("has_room", [False, True])
def test_disabled_and_merged_adapters_are_peft_s(tmp_path: Path, has_room: bool) -> None:
    base = opened("llama", tmp_path / "base")
    batch, model, alone = batch_for(base), with_adapter(base), base.load(torch.float32)
    fuse_layers(model)
    if has_room:
        make_room(model)
        FlatAdapter(model, 1e-3)
    with torch.no_grad():
        wanted = loss_of(model, batch)
        with model.disable_adapter():
            torch.testing.assert_close(loss_of(model, batch), loss_of(alone, batch))
        model.merge_adapter()
        torch.testing.assert_close(loss_of(model, batch), wanted)
        model.unmerge_adapter()
        torch.testing.assert_close(loss_of(model, batch), wanted)


def test_with_dropout_there_is_no_room(tmp_path: Path) -> None:
    model = with_adapter(opened("llama", tmp_path / "base"), config=LoraConfig(dropout=0.1))
    fuse_layers(model)
    make_room(model)
    joined = [one for layer in layers_of(model) for one in layer.parts.joined]
    assert every(one.room is None and len(one.rows) == one.adapter.outputs for one in joined)


def test_numbers_between_the_blocks_stay_zero(tmp_path: Path) -> None:
    base = opened("qwen3", tmp_path / "base")
    model, batch = with_adapter(base), batch_for(base)
    fuse_layers(model)
    adapter = FlatAdapter(model, 1e-2)
    own = sum(one.numel() for one in trainable(model).values())
    for _ in range(3):
        torch.autograd.backward(loss_of(model, batch))
        adapter.collect()
        adapter.update(1e-2, 1.0, torch.ones(2))
    assert own < adapter.weights.numel()
    assert torch.count_nonzero(adapter.weights) <= own
    whole = sum(one.square().sum() for one in trainable(model).values())
    torch.testing.assert_close(adapter.weights.square().sum(), whole)


def test_a_layer_with_a_bias_stays_transformers_own(tmp_path: Path) -> None:
    base = opened("llama", tmp_path / "base")
    model, batch = with_adapter(base), batch_for(base)
    wanted = loss_of(model, batch)
    one = next(module for name, module in model.named_modules() if name.endswith("o_proj"))
    inner = cast("Linear", one).get_base_layer()
    inner.bias = nn.Parameter(torch.zeros(len(base_weight(one))), requires_grad=False)
    assert fuse_layers(model) == 1
    assert len(layers_of(model)) == base.shape.slow.layers + base.shape.fast.layers - 1
    torch.testing.assert_close(loss_of(model, batch), wanted)


@given(
    batch=st.integers(1, 3),
    heads=st.integers(1, 3),
    length=st.integers(1, 6),
    half=st.integers(1, 5),
)
def test_a_rotation_is_transformers_s(batch: int, heads: int, length: int, half: int) -> None:
    torch.manual_seed(1)
    states = torch.randn(batch, length, heads, 2 * half, dtype=torch.float64, requires_grad=True)
    angles = torch.randn(1, length, half, dtype=torch.float64).repeat(1, 1, 2)
    cosine, sine = angles.cos(), angles.sin()
    wanted, _ = apply_rotary_pos_emb(states, states, cosine, sine, unsqueeze_dim=2)
    tables = cosine[:, :, None], sine[:, :, None]
    torch.testing.assert_close(rotate(states.detach(), *tables, 1), wanted)
    grad = torch.randn_like(wanted)
    torch.testing.assert_close(
        rotate(grad, *tables, -1), torch.autograd.grad(wanted, states, grad)[0]
    )


@pytest.mark.parametrize("has_weight", [True, False])
def test_a_norm_is_torch_s(has_weight: bool) -> None:
    torch.manual_seed(1)
    states = torch.randn(5, 3, 8, requires_grad=True)
    weight = torch.randn(8) if has_weight else None
    wanted = nn.functional.rms_norm(states, [8], weight, 1e-5)
    found, inverse = normed(states.detach(), weight, 1e-5)
    torch.testing.assert_close(found, wanted)
    grad = torch.randn_like(wanted)
    torch.testing.assert_close(
        norm_gradient(grad, states.detach(), inverse, weight),
        torch.autograd.grad(wanted, states, grad)[0],
    )
