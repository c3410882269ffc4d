"""The log notes each optimization that does not apply."""

from __future__ import annotations

import pytest
import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn

from adapters import adapted
from fintts_inputs.config import LoraConfig
from fintts_trainer.families.fish import FishBase
from fintts_trainer.machine.device_notes import device_notes, unfused_note
from fintts_trainer.model.attention import LONGEST_BY_PRODUCTS
from fintts_trainer.model.compiled import log_eager_layers
from fintts_trainer.model.fused_layers import fuse_layers
from fintts_trainer.model.joined import base_weight
from fintts_trainer.model.recompute import recompute_layers

CPU = torch.device("cpu")


def _times(one: Tensor, number: int) -> Tensor:
    return one * number


def test_torch_gives_up_compiling_and_it_is_said_once() -> None:
    said: list[str] = []
    log_eager_layers(said.append)
    torch._dynamo.reset()
    with torch._dynamo.config.patch(recompile_limit=2):
        compiled = torch.compile(_times, backend="eager", dynamic=False)
        for number in (2, 3):
            compiled(torch.ones(2), number)
        assert said == []
        for number in (4, 5, 6):
            assert compiled(torch.ones(2), number)[0] == number
    torch._dynamo.reset()
    (sentence,) = said
    assert sentence.startswith("some layers run without torch.compile")
    assert sentence.endswith("hit config.recompile_limit (2)")


@pytest.mark.parametrize("biases", [0, 2])
def test_matrices_that_are_left_to_peft_are_counted(base: FishBase, biases: int) -> None:
    lora = LoraConfig(targets=("attention",), dropout=0.1)
    model = adapted(base.load(torch.float32), lora)
    linears = [one for one in model.modules() if isinstance(one, Linear)]
    for linear in linears[:biases]:
        bias = torch.zeros(len(base_weight(linear)))
        linear.get_base_layer().bias = nn.Parameter(bias, requires_grad=False)
    left = fuse_layers(model)
    assert left == biases
    assert ["2 adapted matrices" in one for one in unfused_note(left)] == [True] * (biases // 2)
    assert recompute_layers(model) == base.shape.slow.layers + base.shape.fast.layers


def test_long_utterances_in_bfloat16_on_a_cpu_are_said() -> None:
    (said,) = device_notes(CPU, torch.bfloat16, LONGEST_BY_PRODUCTS + 1)
    assert "the longest has 1,025" in said
    assert not list(device_notes(CPU, torch.bfloat16, LONGEST_BY_PRODUCTS))
    assert not list(device_notes(CPU, torch.float32, LONGEST_BY_PRODUCTS + 1))


@pytest.mark.parametrize("has_its_own", [True, False])
def test_a_gpu_that_emulates_bfloat16_is_said(
    monkeypatch: pytest.MonkeyPatch, has_its_own: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: has_its_own)
    said = list(device_notes(torch.device("cuda"), torch.bfloat16, 9))
    assert bool(said) == (not has_its_own)
