"""The one-node LoRA linear is PEFT's in all but the number of its nodes."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear
from torch import Tensor, nn

from fintts_trainer.config import LoraConfig as OurLoraConfig
from fintts_trainer.families.fish import FishBase
from fintts_trainer.lora import add_adapter
from fintts_trainer.lora_linear import OneNodeLinear, lora_linear


def layer(
    kind: type[Linear] = OneNodeLinear, *, dropout: float = 0.0, bias: bool = False
) -> Linear:
    """An adapted linear, 6 → 5, whose B is not zero."""
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(6, 5, bias=bias)).requires_grad_(requires_grad=False)
    config = LoraConfig(r=3, lora_alpha=6, lora_dropout=dropout, target_modules=["0"])
    config._register_custom_module({nn.Linear: kind})
    adapted = get_peft_model(net, config)
    found = next(module for module in adapted.modules() if isinstance(module, Linear))
    with torch.no_grad():
        cast("Tensor", found.lora_B["default"].weight).normal_()
    assert type(found) is kind
    return found


def outcome(module: Linear, x: Tensor) -> tuple[Tensor, ...]:
    """Output, and gradients of x, A and B for a loss that is not symmetric."""
    x = x.clone().requires_grad_()
    out = module(x)
    (out * torch.arange(out.numel()).view(out.shape).to(out.dtype)).sum().backward()
    down, up = module.lora_A["default"].weight.grad, module.lora_B["default"].weight.grad
    assert x.grad is not None
    return (out.detach(), x.grad, cast("Tensor", down), cast("Tensor", up))


@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 6)])
def test_output_and_gradients_are_peft_s(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(8))
    for mine, theirs in zip(outcome(layer(), x), outcome(layer(Linear), x), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-5)


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(6)
    x, weight, down, up = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((4, 6), (5, 6), (3, 6), (5, 3))
    )
    moving = [one.requires_grad_() for one in (x, down, up)]

    def forward(x: Tensor, down: Tensor, up: Tensor) -> Tensor:
        return lora_linear(x, weight, down, up, 2.0)

    torch.autograd.gradcheck(forward, moving)


def test_an_input_without_gradient_still_trains_the_adapter() -> None:
    module = layer()
    module(torch.ones(2, 6)).sum().backward()
    for part in (module.lora_A["default"], module.lora_B["default"]):
        gradient = cast("Tensor", part.weight.grad)
        assert gradient.any()


def test_it_is_one_node() -> None:
    node = layer()(torch.ones(2, 6, requires_grad=True)).grad_fn
    assert type(node).__name__ == "_LoraLinearBackward"


def test_a_bfloat16_base_gives_bfloat16_and_float32_gradients() -> None:
    module, exact = layer(), layer()
    module.get_base_layer().bfloat16()
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(8))
    found, wanted = outcome(module, x.bfloat16()), outcome(exact, x)
    dtypes = [one.dtype for one in found]
    assert dtypes == [torch.bfloat16, torch.bfloat16, torch.float32, torch.float32]
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(
            mine.float(), theirs, atol=0.02 * theirs.abs().max().item(), rtol=0
        )


@pytest.mark.parametrize("case", ["dropout", "bias", "disabled", "merged"])
def test_what_it_does_not_cover_goes_peft_s_way(case: str) -> None:
    outputs = []
    for kind in (OneNodeLinear, Linear):
        module = layer(kind, dropout=0.5 if case == "dropout" else 0.0, bias=case == "bias")
        if case == "disabled":
            module.enable_adapters(enabled=False)
        if case == "merged":
            module.merge()
        torch.manual_seed(3)
        outputs.append(module(torch.ones(2, 6)))
    torch.testing.assert_close(outputs[0], outputs[1], atol=0, rtol=0)


def test_every_adapted_linear_of_a_model_is_one(base: FishBase) -> None:
    model = add_adapter(
        base.load(torch.float32), base.targets, OurLoraConfig(), base_name="tiny", seed=1
    )
    linears = [module for module in model.modules() if isinstance(module, Linear)]
    assert linears
    assert all(type(module) is OneNodeLinear for module in linears)
