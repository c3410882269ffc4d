"""A linear layer with LoRA as one autograd node instead of PEFT's five; PEFT's modules stay.

y = x Wᵀ + s (x Aᵀ) Bᵀ, the LoRA of arXiv:2106.09685. Backward needs x in its own type and
x Aᵀ [rows, rank]; PEFT's forward also keeps each sum. Over a bfloat16 base, all products are
computed in bfloat16, as under autocast, while the adapter, its gradient and its optimizer stay
float32. PEFT converts x to float32, keeps that copy too, and multiplies at float32 speed.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def adapted_product(rows: Tensor, weight: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    """x Wᵀ + scale (x Aᵀ) Bᵀ, [n, outputs]; all products are computed in the type of `rows`.

    Args:
        rows: x, [n, inputs].
        weight: W, [outputs, inputs], frozen.
        down: A, [rank, inputs].
        up: B, [outputs, rank].
        scale: alpha / rank.
    """
    # torch's own signature of `apply` is untyped.
    return cast("Tensor", _AdaptedProduct.apply(rows, weight, down, up, scale))  # type: ignore[no-untyped-call]


class _AdaptedProduct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, down: Tensor, up: Tensor, scale: float
    ) -> Tensor:
        low = _scaled_product(rows, down.to(rows.dtype).t(), scale)
        ctx.save_for_backward(rows, weight, down, up, low)
        ctx.scale = scale
        return F.linear(rows, weight).addmm_(low, up.to(rows.dtype).t())

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] # the decorator is untyped
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, None, Tensor, Tensor, None]:
        """Gradients of rows, A and B; the weight is frozen."""
        rows, weight, down, up, low = ctx.saved_tensors
        grad_low = _scaled_product(grad, up.to(grad.dtype), ctx.scale)
        # The small matrix first: a CPU takes up to six times as long for gradᵀ low.
        grad_up = (low.t() @ grad).t()
        grad_down = grad_low.t() @ rows
        wanted = ctx.needs_input_grad[0]
        grad_rows = (grad @ weight).addmm_(grad_low, down.to(grad.dtype)) if wanted else None
        return grad_rows, None, grad_down.to(down.dtype), grad_up.to(up.dtype), None


def _scaled_product(one: Tensor, other: Tensor, scale: float) -> Tensor:
    """scale · one other; in one kernel, unless torch.compile fuses them itself."""
    if torch.compiler.is_compiling():
        return (one @ other) * scale
    # beta = 0: the first argument is not read.
    return torch.addmm(one.new_empty(()), one, other, beta=0, alpha=scale)


class FusedLinear(Linear):
    """PEFT's adapted linear with its forward in one node.

    A class instead of a forward on each instance: torch.compile guards a function by its identity,
    so every layer would need a graph of its own.

    Attributes:
        down, up: A and B in the type of the products; None computes with PEFT's parameters.
    """

    down: Tensor | None = None
    up: Tensor | None = None

    def matrices(self) -> tuple[Tensor, Tensor]:
        """PEFT's parameters: A, [rank, inputs], and B, [outputs, rank]."""
        (name,) = self.active_adapters
        return cast("Tensor", self.lora_A[name].weight), cast("Tensor", self.lora_B[name].weight)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """[..., inputs] → [..., outputs]; as PEFT computes it when the adapter is off or merged."""
        if self.disable_adapters or self.merged:
            return super().forward(x, *args, **kwargs)
        down, up = self.down, self.up
        if down is None or up is None:
            down, up = self.matrices()
        weight = cast("Tensor", self.get_base_layer().weight)
        rows = x.reshape(-1, x.shape[-1])
        product = adapted_product(rows, weight, down, up, self.scaling[self.active_adapters[0]])
        return product.view(*x.shape[:-1], -1)


def fuse_adapted_linears(model: nn.Module) -> int:
    """Makes each adapted linear of the model a `FusedLinear` wherever that is PEFT's own result:
    one plain adapter, no bias, no dropout, not merged. Returns how many stay as PEFT has them.

    Modules, parameters and their names stay the same.
    """
    linears = [module for module in model.modules() if isinstance(module, Linear)]
    plain = [module for module in linears if _is_plain(module)]
    for module in plain:
        module.__class__ = FusedLinear
    return len(linears) - len(plain)


def _is_plain(module: Linear) -> bool:
    base, names = module.get_base_layer(), module.active_adapters
    return (
        isinstance(base, nn.Linear)
        and getattr(base, "bias", None) is None
        and len(names) == 1
        and not module.lora_variant
        and isinstance(module.lora_dropout[names[0]], nn.Identity)
    )
