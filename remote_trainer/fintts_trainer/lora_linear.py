"""PEFT's LoRA linear as one node of the graph: y = x Wᵀ + s (x Aᵀ) Bᵀ, with W frozen.

PEFT's own takes five operations forward, and each leaves a result as large as the layer's output.
Module names, parameters and files stay PEFT's: who opens the adapter needs nothing of this.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class OneNodeLinear(Linear):
    """PEFT's layer with another forward; what that one does not cover goes PEFT's way."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """[..., inputs] → [..., outputs], in the type of `x`."""
        name = self._only_adapter()
        if name is None or args or kwargs:
            return super().forward(x, *args, **kwargs)
        weight = cast("Tensor", self.get_base_layer().weight)
        down = cast("Tensor", self.lora_A[name].weight)
        up = cast("Tensor", self.lora_B[name].weight)
        return lora_linear(x, weight, down, up, self.scaling[name])

    def _only_adapter(self) -> str | None:
        """The name of the one adapter, if it is a plain one at work on a frozen linear."""
        if self.disable_adapters or self.merged or len(self.active_adapters) != 1:
            return None
        name = self.active_adapters[0]
        base = cast("nn.Linear", self.get_base_layer())
        is_plain = (
            name in self.lora_A
            and name not in self.lora_variant
            and isinstance(self.lora_dropout[name], nn.Identity)
            and not self.lora_bias[name]
            and getattr(base, "bias", None) is None
            and not base.weight.requires_grad
        )
        return name if is_plain else None


def lora_linear(x: Tensor, weight: Tensor, down: Tensor, up: Tensor, scaling: float) -> Tensor:
    """x Wᵀ + scaling (x Aᵀ) Bᵀ, with gradients for x, A and B.

    Args:
        x: [..., inputs].
        weight: W, [outputs, inputs], frozen.
        down: A, [rank, inputs]. A and B are worked with in the type of `x`; their gradients have
            their own.
        up: B, [outputs, rank].
    """
    # torch's own signature of `apply` is untyped.
    return cast("Tensor", _LoraLinear.apply(x, weight, down, up, scaling))  # type: ignore[no-untyped-call]


class _LoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, down: Tensor, up: Tensor, scaling: float
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        low = rows @ down.to(x.dtype).t()
        out = rows @ weight.t()
        out.addmm_(low, up.to(x.dtype).t(), alpha=scaling)
        ctx.save_for_backward(rows, low, weight, down, up)
        ctx.scaling, ctx.shape = scaling, x.shape
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] # the decorator is untyped
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        rows, low, weight, down, up = cast("tuple[Tensor, ...]", ctx.saved_tensors)
        errors = grad.reshape(-1, grad.shape[-1])
        low_errors = (errors @ up.to(grad.dtype)).mul_(ctx.scaling)
        x_grad: Tensor | None = None
        if ctx.needs_input_grad[0]:
            x_grad = (errors @ weight).addmm_(low_errors, down.to(grad.dtype)).view(ctx.shape)
        down_grad = (low_errors.t() @ rows).to(down.dtype)
        up_grad = (errors.t() @ low).mul_(ctx.scaling).to(up.dtype)
        return x_grad, None, down_grad, up_grad, None
