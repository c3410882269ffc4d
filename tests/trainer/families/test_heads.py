"""What a head is to the loss equals what the head itself computes, whatever PEFT made of it."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from fintts_trainer.families.heads import projection


def head(dropout: float = 0.0) -> nn.Module:
    """An adapted head, 6 → 9."""
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(6, 9, bias=False)).requires_grad_(requires_grad=False)
    config = LoraConfig(r=3, lora_alpha=7, lora_dropout=dropout, target_modules=["0"])
    adapted = cast("nn.Sequential", get_peft_model(net, config).base_model.model)
    with torch.no_grad():
        for parameter in adapted.parameters():
            parameter.normal_()
    return adapted[0]


@pytest.mark.parametrize("state", ["adapted", "dropout", "disabled", "merged"])
def test_it_says_what_the_head_says(state: str) -> None:
    module = head(dropout=0.5 if state == "dropout" else 0.0).train()
    if state == "disabled":
        module.enable_adapters(enabled=False)  # type: ignore[operator] # PEFT's
    if state == "merged":
        module.merge()  # type: ignore[operator] # PEFT's
    rows = torch.randn(4, 6, generator=torch.Generator().manual_seed(8))
    torch.manual_seed(3)
    wanted: Tensor = module(rows)
    torch.manual_seed(3)
    found = projection(module, rows).logits()
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_a_head_without_an_adapter_is_its_weight() -> None:
    module = nn.Linear(6, 9, bias=False)
    found = projection(module, torch.ones(1, 6))
    assert found.low is None
    torch.testing.assert_close(found.logits(), module(torch.ones(1, 6)))
