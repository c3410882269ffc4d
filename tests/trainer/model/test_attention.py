"""Attention by two products is attention, and is asked where it is the quicker way only."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fintts_trainer.data.batches import collate
from fintts_trainer.families.base import Example
from fintts_trainer.families.fish import FishBase
from fintts_trainer.model import attention
from fintts_trainer.model.attention import (
    LONGEST_BY_PRODUCTS,
    SHORTEST_OF_KERNEL,
    attention_by_products,
    causal_attention,
    prefers_products,
)


def heads(
    batch: int, shared: int, pairs: int, length: int, dim: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value as transformers hands them over: views of [batch, T, heads, dim]."""
    torch.manual_seed(1)
    counts = (shared * pairs, pairs, pairs)
    made = (torch.randn(batch, length, count, dim, dtype=dtype) for count in counts)
    query, key, value = (one.transpose(1, 2).requires_grad_() for one in made)
    return query, key, value


@given(
    batch=st.integers(1, 3),
    shared=st.integers(1, 3),
    pairs=st.integers(1, 3),
    length=st.integers(1, 12),
    scaling=st.sampled_from([None, 0.3]),
)
def test_products_equal_torch_s_kernel(
    batch: int, shared: int, pairs: int, length: int, scaling: float | None
) -> None:
    read = heads(batch, shared, pairs, length, 8, torch.float64)
    found = attention_by_products(*read, scaling)
    wanted = F.scaled_dot_product_attention(*read, is_causal=True, enable_gqa=True, scale=scaling)
    torch.testing.assert_close(found, wanted)
    grad = torch.randn_like(wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found, read, grad), torch.autograd.grad(wanted, read, grad)
    )


def test_in_bfloat16_they_are_as_exact_as_the_kernel() -> None:
    exact = heads(2, 2, 3, 100, 64, torch.float64)
    wanted = F.scaled_dot_product_attention(*exact, is_causal=True, enable_gqa=True)
    rounded = tuple(one.detach().bfloat16().requires_grad_() for one in exact)
    ways = (
        attention_by_products(rounded[0], rounded[1], rounded[2]),
        F.scaled_dot_product_attention(
            rounded[0], rounded[1], rounded[2], is_causal=True, enable_gqa=True
        ),
    )
    ours, theirs = (
        [
            ((one.double() - other).norm() / other.norm()).item()
            for one, other in zip(
                (way, *torch.autograd.grad(way.sum(), rounded)),
                (wanted, *torch.autograd.grad(wanted.sum(), exact, retain_graph=True)),
                strict=True,
            )
        ]
        for way in ways
    )
    assert max(ours) < 2 * max(theirs)


@pytest.mark.parametrize(
    ("dtype", "length", "by_products"),
    [
        (torch.bfloat16, 12, True),
        (torch.bfloat16, LONGEST_BY_PRODUCTS + 1, False),
        (torch.float32, 12, False),
    ],
)
def test_the_quicker_way_is_taken(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, length: int, by_products: bool
) -> None:
    asked: list[int] = []

    def noting(query: Tensor, key: Tensor, value: Tensor, scaling: float | None = None) -> Tensor:
        asked.append(query.shape[2])
        return attention_by_products(query, key, value, scaling)

    monkeypatch.setattr(attention, "attention_by_products", noting)
    query, key, value = heads(1, 1, 2, length, 8, dtype)
    found, probabilities = causal_attention(nn.Module(), query, key, value, None)
    assert found.shape == (1, length, 2, 8)
    assert probabilities is None
    assert bool(asked) == by_products
    wanted = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(found, wanted.transpose(1, 2), atol=0.02, rtol=0.02)


@pytest.mark.parametrize(("length", "expected"), [(11, True), (SHORTEST_OF_KERNEL, False)])
def test_a_gpu_multiplies_for_short_utterances(length: int, expected: bool) -> None:
    assert prefers_products("cuda", torch.bfloat16, length) == expected


def test_the_model_asks_so(
    base: FishBase, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both stacks, in bfloat16."""
    asked: list[int] = []

    def noting(query: Tensor, key: Tensor, value: Tensor, scaling: float | None = None) -> Tensor:
        asked.append(query.shape[2])
        return attention_by_products(query, key, value, scaling)

    monkeypatch.setattr(attention, "attention_by_products", noting)
    base.load(torch.bfloat16)(collate(examples))
    assert len(asked) == base.shape.slow.layers + base.shape.fast.layers
    assert base.shape.num_codebooks in asked
