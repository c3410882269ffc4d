"""Compiled layers: the same numbers within rounding, one set of graphs for any depth and length,
and a clear refusal."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from adapters import adapted
from fintts_inputs.config import LoraConfig
from fintts_trainer.data.batches import collate
from fintts_trainer.errors import CannotCompile
from fintts_trainer.families.base import Batch, Predictions
from fintts_trainer.families.fish import FishBase
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.model.compiled import compile_as_configured, compile_layers
from fintts_trainer.model.flat_adapter import FlatAdapter
from fintts_trainer.model.fused_layers import fuse_layers, make_room

INNER = LoraConfig(targets=("attention", "mlp"))


def gradient(model: torch.nn.Module, adapter: FlatAdapter, batch: Batch) -> Tensor:
    """Of the whole adapter."""
    predictions: Predictions = model(batch)
    torch.autograd.backward(
        predictions.losses()["token"].total / 10 + predictions.losses()["code"].total / 40
    )
    adapter.gradient.zero_()
    adapter.collect()
    return adapter.gradient.clone()


GRAPHS = 3
"""The slow stack's first layer, whose input takes no gradient; its others; and the fast stack's."""


def deep_model(base: FishBase) -> DualAR:
    """Of more layers than there are graphs to be made."""
    shape = replace(
        base.shape,
        slow=replace(base.shape.slow, layers=6),
        second=replace(base.shape.fast, layers=3),
    )
    torch.manual_seed(1)
    model = DualAR(shape, base.tokenizer.semantic_begin_id, base.tokenizer.semantic_end_id)
    model.add_tables()
    return model.requires_grad_(requires_grad=False)


@pytest.fixture
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch starts no processes that compile beside this one, each with an import of torch, and
    writes plain loops, which a C++ compiler takes a fraction of the time for."""
    monkeypatch.setattr(torch._inductor.config, "compile_threads", 1)
    monkeypatch.setattr(torch._inductor.config.cpp, "simdlen", 1)


@pytest.mark.usefixtures("_in_this_process")
@pytest.mark.long
@pytest.mark.timeout(900)  # a C++ compiler is at work, beside other tests
@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
def test_gradients_are_the_same_and_no_depth_or_length_needs_more_graphs(base: FishBase) -> None:
    plain, compiled = models = [adapted(deep_model(base), INNER) for _ in range(2)]
    assert [fuse_layers(model) for model in models] == [0, 0]
    make_room(compiled)  # as on a GPU
    adapters = [FlatAdapter(model, 1e-3) for model in models]
    names = list(compiled.state_dict())
    torch._dynamo.reset()
    compile_layers(compiled)
    counters.clear()  # of other tests, and of the trial
    assert list(compiled.state_dict()) == names, "a checkpoint's names"
    generator, graphs = np.random.default_rng(1), list[int]()
    for lengths in ((9, 4), (7, 8, 5), (30, 2), (21, 21, 3, 4)):
        batch = collate(
            [base.encode(f"Rivi {n}" * n, generator.integers(0, 64, (4, n))) for n in lengths]
        )
        wanted = gradient(plain, adapters[0], batch)
        found = gradient(compiled, adapters[1], batch)
        assert wanted.any()
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs == [GRAPHS] * 4


def no_compiler() -> AbstractContextManager[object]:
    """torch finds no C++ compiler."""
    found: AbstractContextManager[object] = torch._inductor.config.patch(
        {"cpp.cxx": ("no-such-compiler",)}
    )
    return found


def test_a_missing_compiler_is_an_error_where_compiling_is_required(base: FishBase) -> None:
    torch._dynamo.reset()
    with no_compiler(), pytest.raises(CannotCompile, match="torch cannot compile here"):
        compile_layers(adapted(base.load(torch.float32), INNER))


@pytest.mark.parametrize(
    ("setting", "device_type", "said"),
    [
        ("auto", "cuda", ["the layers run without torch.compile: torch cannot compile here"]),
        ("auto", "cpu", []),
        (False, "cuda", []),
    ],
)
def test_auto_compiles_on_a_gpu_and_goes_on_where_torch_cannot(
    base: FishBase,
    setting: bool | Literal["auto"],
    device_type: str,
    said: list[str],
) -> None:
    torch._dynamo.reset()
    lines: list[str] = []
    model = adapted(base.load(torch.float32), INNER)
    with no_compiler():
        assert not compile_as_configured(model, setting, device_type, lines.append, lines.append)
    assert [line[: len(start)] for line, start in zip(lines, said, strict=True)] == said
