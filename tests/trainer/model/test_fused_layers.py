"""Attention and norms with fewer kernels are transformers' own, and so is generation with them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from fintts_inputs.base_model.families import read_config
from fintts_trainer.data.batches import collate
from fintts_trainer.families.base import BaseModel, Batch, Predictions
from fintts_trainer.families.csm import CsmFamily
from fintts_trainer.model.fused_layers import FusedAttention, FusedNorm, fuse_layers, rotated
from tiny_csm import write_tiny_csm
from tiny_fish import write_fish

KINDS = ("llama", "qwen3", "csm")


def opened(kind: str, folder: Path) -> BaseModel:
    """A tiny model of this kind of layers."""
    if kind == "csm":
        return CsmFamily().open(read_config(write_tiny_csm(folder)))
    return write_fish(folder, torch.float32, attention_qk_norm=kind == "qwen3")


def batch_for(base: BaseModel) -> Batch:
    generator, codebooks = np.random.default_rng(2), base.shape.num_codebooks
    codes = [generator.integers(0, 30, (codebooks, frames)) for frames in (6, 11)]
    return collate([base.encode("sanat sulavat", code) for code in codes])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_and_gradients_are_the_same(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    base = opened(kind, tmp_path / "base")
    batch, (plain, fused) = batch_for(base), (base.load(dtype) for _ in range(2))
    count = fuse_layers(fused)
    assert count == sum(isinstance(one, FusedAttention | FusedNorm) for one in fused.modules())
    assert count >= 3 * (base.shape.slow.layers + base.shape.fast.layers)
    assert list(fused.state_dict()) == list(plain.state_dict())
    exact = dtype == torch.float32
    wanted, found = gradients(plain, batch), gradients(fused, batch)
    for mine, other in zip(found, wanted, strict=True):
        assert (mine - other).abs().max() < (1e-5 if exact else 0.1) * other.abs().max()


def gradients(model: nn.Module, batch: Batch) -> list[Tensor]:
    """The loss, and the gradients of a matrix before and one behind the layers' kernels."""
    names = [name for name, _ in model.named_parameters()]
    ends = (next(n for n in names if "embed" in n), next(n for n in names if "q_proj" in n))
    weights = [model.get_parameter(name).requires_grad_() for name in ends]
    losses = cast("Predictions", model(batch)).losses()
    loss = losses["token"].total + losses["code"].total
    return [loss.detach(), *torch.autograd.grad(loss, weights)]


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
    found = rotated(states, cosine, sine)
    wanted, _ = apply_rotary_pos_emb(states, states, cosine, sine, unsqueeze_dim=2)
    torch.testing.assert_close(found, wanted)
    grad = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, states, grad), torch.autograd.grad(wanted, states, grad)
    )
