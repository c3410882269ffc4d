"""One tensor for the whole adapter: PEFT's names, the same steps, and files of any version."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel
from torch.nn.utils import clip_grad_norm_

from adapters import adapted
from checks import every
from fintts_inputs.config import LoraConfig
from fintts_trainer.data.batches import collate
from fintts_trainer.families.base import Example, Predictions
from fintts_trainer.families.fish import FishBase
from fintts_trainer.model.flat_adapter import FlatAdapter, packs_of
from fintts_trainer.model.fused_layers import fuse_layers, make_room
from fintts_trainer.model.joined import ALIGNMENT
from fintts_trainer.model.lora import trainable
from fintts_trainer.model.optimizer import AdapterOptimizer

RATE, MOST_NORM = 1e-3, 1.0
ONE = torch.ones(2)


def fused(base: FishBase, dtype: torch.dtype, config: LoraConfig | None = None) -> PeftModel:
    model = adapted(base.load(dtype), config)
    fuse_layers(model)
    return model


def backward(model: PeftModel, examples: list[Example]) -> None:
    predictions: Predictions = model(collate(examples))
    losses = predictions.losses()
    torch.autograd.backward(losses["token"].total / 10 + losses["code"].total / 40)


@pytest.mark.parametrize("rank", [8, 3], ids=["aligned", "odd"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_are_those_of_separate_tensors(
    base: FishBase, examples: list[Example], dtype: torch.dtype, rank: int
) -> None:
    """Over two micro-batches a step."""
    config = LoraConfig(rank=rank)
    apart, together = (fused(base, dtype, config) for _ in range(2))
    names = list(trainable(together))
    flat = FlatAdapter(together, RATE)
    assert list(trainable(together)) == names
    optimizer = AdapterOptimizer(trainable(apart).values(), RATE)
    for _ in range(3):
        for part in (examples[:3], examples[3:]):
            backward(apart, part)
            backward(together, part)
            flat.collect()
        wanted = clip_grad_norm_(trainable(apart).values(), MOST_NORM)
        optimizer.update(RATE, wanted)
        optimizer.zero_grad()
        found = flat.update(RATE, MOST_NORM, ONE)
        exact = dtype == torch.float32
        torch.testing.assert_close(found, wanted, rtol=1e-5 if exact else 1e-2, atol=0)
    for name, parameter in trainable(together).items():
        other = trainable(apart)[name]
        torch.testing.assert_close(parameter, other, atol=1e-6 if exact else 2e-3, rtol=0)


def test_each_pack_is_aligned_and_each_matrix_is_peft_s_own(base: FishBase) -> None:
    model = fused(base, torch.bfloat16, LoraConfig(rank=3))
    before = {name: one.detach().clone() for name, one in trainable(model).items()}
    flat = FlatAdapter(model, RATE)
    assert every(torch.equal(one, before[name]) for name, one in trainable(model).items())
    starts = [pack.blocks[0].parameter.data_ptr() for pack in packs_of(model)]
    assert every(start % (4 * ALIGNMENT) == 0 for start in starts)
    assert len(set(starts)) == len(starts) > 2 * base.shape.slow.layers
    assert flat.weights.numel() >= sum(one.numel() for one in before.values())
    with torch.no_grad():
        flat.weights.fill_(7)
    assert every((one == 7).all() for one in trainable(model).values())


def test_products_use_the_newest_weights(base: FishBase) -> None:
    model = fused(base, torch.bfloat16)
    make_room(model)
    flat = FlatAdapter(model, RATE)
    flat.gradient.normal_()
    flat.update(1.0, MOST_NORM, ONE)
    blocks = [(pack, block) for pack in packs_of(model) for block in pack.blocks]
    for pack, block in blocks:
        first = next(leaf for leaf in pack.leaves if leaf is not None)
        wanted = (block.parameter * block.scale).bfloat16()
        assert torch.equal(block.of(first.detach()), wanted)
    for pack in packs_of(model):
        for product, down in zip(pack.products, pack.leaves[::2], strict=True):
            assert product.room is None or torch.equal(product.room, down)  # type: ignore[arg-type]
    assert len(blocks) == 2 * 7 * (base.shape.slow.layers + base.shape.fast.layers) + 4


@pytest.mark.parametrize(
    "bad", [torch.tensor([1.0, float("nan")]), torch.tensor([float("inf"), 1])]
)
def test_a_loss_that_is_not_finite_changes_nothing(base: FishBase, bad: torch.Tensor) -> None:
    flat = FlatAdapter(fused(base, torch.float32), RATE)
    flat.gradient.normal_()
    flat.update(RATE, MOST_NORM, ONE)
    before = [flat.weights.detach().clone(), *(one.clone() for one in flat.state().values())]
    flat.gradient.normal_()
    flat.update(RATE, MOST_NORM, bad)
    after = [flat.weights, *flat.state().values()]
    assert every(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert not flat.gradient.any()


def test_a_gradient_that_is_not_finite_changes_nothing(base: FishBase) -> None:
    flat = FlatAdapter(fused(base, torch.float32), RATE)
    before = flat.weights.detach().clone()
    flat.gradient[5] = float("nan")
    assert flat.update(RATE, MOST_NORM, ONE).isnan()
    assert torch.equal(flat.weights, before)


def test_moments_have_the_names_and_shapes_of_peft_s_parameters(base: FishBase) -> None:
    """As the optimizer of separate tensors left them, which wrote the files of earlier versions."""
    apart = fused(base, torch.float32)
    optimizer = AdapterOptimizer(trainable(apart).values(), RATE)
    for parameter in trainable(apart).values():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    written = {
        f"{name}.{moment}": value
        for name, parameter in trainable(apart).items()
        for moment, value in optimizer.state[parameter].items()
    }
    flat = FlatAdapter(fused(base, torch.float32), RATE)
    assert flat.moments() == {}
    flat.load_moments({})
    assert not flat.has_moments
    flat.load_moments(written)
    found = flat.moments()
    assert found.keys() == written.keys()
    assert every(torch.equal(found[name], written[name]) for name in written)
    assert every(one.is_contiguous() for one in found.values())


def test_a_parameter_without_moments_has_none_yet(base: FishBase) -> None:
    """The optimizer of earlier versions kept none of a parameter that had never had a gradient."""
    flat = FlatAdapter(fused(base, torch.float32), RATE)
    flat.gradient.normal_()
    flat.update(RATE, MOST_NORM, ONE)
    written = flat.moments()
    idle = next(iter(written)).rpartition(".")[0]
    kept = {key: value for key, value in written.items() if not key.startswith(f"{idle}.")}
    again = FlatAdapter(fused(base, torch.float32), RATE)
    again.load_moments(kept)
    found = again.moments()
    assert not found[f"{idle}.exp_avg"].any()
    assert found.keys() == written.keys()
    assert every(torch.equal(found[key], kept[key]) for key in kept)
