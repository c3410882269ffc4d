"""A linear layer with LoRA as one autograd node instead of PEFT's five; PEFT's modules stay.

y = x Wᵀ + (drop(x) Aᵀ) s B, the LoRA of arXiv:2106.09685 with B as [rank, outputs]; s B is kept as
one matrix, so that no product scales. Backward needs
x in its own type and x Aᵀ [rows, rank]; PEFT's forward also keeps each sum. Over a bfloat16 base,
all products are computed in bfloat16, as under autocast, while the adapter, its gradient and its
optimizer stay float32. PEFT converts x to float32, keeps that copy too, and multiplies at float32
speed.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fintts_trainer.model.joined import Adapter, Joined, Pack, is_plain


class Kept(NamedTuple):
    """What backward needs of a product, beside rows and weights."""

    low: Tensor | None
    """drop(x) Aᵀ, [n, rank]; None without an adapter"""
    mask: Tensor | None
    """bool [n, inputs]; where dropout kept x; None without dropout"""


def adapted_product(
    rows: Tensor,
    weight: Tensor,
    adapter: Adapter,
    down: Tensor | None,
    up: Tensor | None,
    *,
    keeps_product: bool = False,
) -> tuple[Tensor, Kept]:
    """x Wᵀ + (drop(x) Aᵀ) s B, and what its gradient needs; builds no graph.

    Args:
        rows: x, [n, inputs].
        weight: W, [outputs, inputs], frozen; below it A, if there was room.
        adapter: its dropout is 0 while the model is not trained.
        down: A, [rank, inputs], in the type of `rows`; None without an adapter.
        up: s B, [rank, outputs], likewise.
        keeps_product: whether backward keeps the product anyway.

    Returns:
        [n, outputs]; with A below W, there may be more columns, which mean nothing.
    """
    product, outputs = F.linear(rows, weight), adapter.outputs
    if down is None or up is None:
        return product, Kept(None, None)
    if len(weight) > outputs:
        result, low = product[:, :outputs], product[:, outputs : outputs + adapter.rank]
        if torch.compiler.is_compiling():  # it would copy a product of which it changes a part
            return torch.addmm(result, low, up), Kept(low.clone(), None)
        result.addmm_(low, up)
        return product, Kept(low if keeps_product else low.clone(), None)
    read, mask = rows, None
    if adapter.dropout:
        read, mask = torch.native_dropout(rows, adapter.dropout, train=True)
    low = read @ down.t()
    return product.addmm_(low, up), Kept(low, mask)


def product_gradients(
    grad: Tensor,
    rows: Tensor,
    weight: Tensor,
    adapter: Adapter,
    kept: Kept,
    down: Tensor | None,
    up: Tensor | None,
    *,
    wants_rows: bool = True,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of x, if wanted, and of A and s B, if there is an adapter."""
    if len(weight) > adapter.outputs:
        weight = weight[: adapter.outputs]
    grad_rows = grad @ weight if wants_rows else None
    low, mask = kept
    if down is None or up is None or low is None:
        return grad_rows, None, None
    # The small matrix first, twice: a CPU takes up to six times as long for gradᵀ low.
    grad_low = (up @ grad.t()).t()
    grad_up = low.t() @ grad
    if mask is None:
        if grad_rows is not None:
            grad_rows.addmm_(grad_low, down)
        return grad_rows, grad_low.t() @ rows, grad_up
    share = 1.0 / (1.0 - adapter.dropout)
    read = torch.ops.aten.native_dropout_backward(rows, mask, share)
    if grad_rows is not None:
        grad_rows += torch.ops.aten.native_dropout_backward(grad_low @ down, mask, share)
    return grad_rows, grad_low.t() @ read, grad_up


class AdaptedLinear(torch.autograd.Function):
    """`adapted_product` with a gradient for rows and adapter."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, down: Tensor, up: Tensor, adapter: Adapter
    ) -> Tensor:
        """As `adapted_product`."""
        product, kept = adapted_product(rows, weight, adapter, down, up)
        ctx.save_for_backward(rows, weight, down, up, *kept)
        ctx.adapter = adapter
        return product

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] # the decorator is untyped
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients of rows and adapter; the weight is frozen."""
        rows, weight, down, up, low, mask = ctx.saved_tensors
        grad_rows, *gradients = product_gradients(
            *(grad, rows, weight, ctx.adapter, Kept(low, mask), down, up),
            wants_rows=ctx.needs_input_grad[0],
        )
        return grad_rows, None, *gradients, None


class FusedLinear(Linear):
    """PEFT's adapted linear outside of the fused layers, with its forward in one node.

    A class instead of a forward on each instance: torch.compile guards a function by its identity,
    so every layer would need a graph of its own.
    """

    pack: Pack

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """[..., inputs] → [..., outputs]; as PEFT computes it when the adapter is off or merged."""
        down, up = self.pack.values()
        if down is None or up is None:
            return super().forward(x, *args, **kwargs)
        weight = cast("Tensor", self.get_base_layer().weight)
        adapter = self.pack.products[0].adapter
        # torch's own signature of `apply` is untyped.
        product = AdaptedLinear.apply(  # type: ignore[no-untyped-call]
            *(x.reshape(-1, x.shape[-1]), weight, down, up),
            during(adapter, training=self.training),
        )
        return cast("Tensor", product).view(*x.shape[:-1], -1)


def during(adapter: Adapter, *, training: bool) -> Adapter:
    """The constants with dropout only while training."""
    return adapter if training or not adapter.dropout else adapter._replace(dropout=0.0)


def fuse_adapted_linears(model: nn.Module, but: frozenset[nn.Module] = frozenset()) -> int:
    """Makes each adapted linear of the model a `FusedLinear` wherever that is PEFT's own result:
    one plain adapter, no bias, not merged. Returns how many stay as PEFT has them.

    Modules, parameters and their names stay the same.

    Args:
        but: linears that a fused layer computes.
    """
    linears = [one for one in model.modules() if isinstance(one, Linear) and one not in but]
    plain = [module for module in linears if is_plain(module)]
    for module in plain:
        module.__class__ = FusedLinear
        cast("FusedLinear", module).pack = Pack([Joined([module])])
    return len(linears) - len(plain)
