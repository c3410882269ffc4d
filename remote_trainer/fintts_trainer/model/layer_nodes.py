"""The two autograd nodes of a fused layer: from its input to query, key and value, and from the
attention's result to its output.

Each calls torch's kernels directly, and keeps what backward cannot have for less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from fintts_trainer.model.fused_lora import Kept, adapted_product, product_gradients
from fintts_trainer.model.rms_norm import norm_gradient, normed

if TYPE_CHECKING:
    from fintts_trainer.model.joined import Adapter


class BeforeConstants(NamedTuple):
    """Sizes and settings of the first node."""

    heads: int
    kv_heads: int
    head_dim: int
    epsilon: float
    head_epsilon: float
    """of the norms of query and key"""
    adapter: Adapter


class AfterConstants(NamedTuple):
    """Sizes and settings of the second node; the adapters of output, gate and up, and down."""

    epsilon: float
    adapters: tuple[Adapter, ...]


class BeforeAttention(Function):
    """Norm, query, key and value in one product, norms of query and key, and their rotation."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        down: Tensor | None,
        up: Tensor | None,
        weight: Tensor,
        norm: Tensor,
        head_norm: Tensor | None,
        cosine: Tensor,
        sine: Tensor,
        constants: BeforeConstants,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value, each [batch, its heads, T, head_dim].

        Args:
            states: [batch, T, dim].
            down, up: A and s B of the adapter.
            weight: of query, key and value, [outputs, dim]; below it may be A.
            norm: [dim].
            head_norm: [heads + key-value heads, head_dim]; None without norms of query and key.
            cosine, sine: [batch or 1, T, 1, head_dim].
        """
        batch, length, dim = states.shape
        heads, kv_heads, head_dim, epsilon, head_epsilon, adapter = constants
        turning = heads + kv_heads
        rows, inverse = normed(states.view(-1, dim), norm, epsilon)
        product, kept = adapted_product(rows, weight, adapter, down, up, keeps_product=True)
        every = product.view(batch, length, -1, head_dim)
        turned, head_inverse = every[:, :, :turning], None
        if head_norm is not None:
            # A GPU's kernel reads whole rows: the norm of value costs less than a copy.
            unit, head_inverse = normed(every, None, head_epsilon)
            turned = unit[:, :, :turning].mul_(head_norm)
        turned = rotate(turned, cosine, sine, 1)
        ctx.save_for_backward(
            *(states, down, up, weight, norm, head_norm, cosine, sine),
            *(rows, inverse, None if head_norm is None else every, head_inverse, *kept),
        )
        ctx.constants = constants
        return (
            turned[:, :, :heads].transpose(1, 2),
            turned[:, :, heads:].transpose(1, 2),
            every[:, :, turning : turning + kv_heads].transpose(1, 2),
        )

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] # the decorator is untyped
        ctx: Any, query: Tensor, key: Tensor, value: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients of states and adapter."""
        states, down, up, weight, norm, head_norm, *others = ctx.saved_tensors
        cosine, sine, rows, inverse, every, head_inverse, *kept = others
        constants: BeforeConstants = ctx.constants
        turning = constants.heads + constants.kv_heads
        end = turning + constants.kv_heads
        value = value.transpose(1, 2)
        query, key = query.transpose(1, 2), key.transpose(1, 2)
        slots = end if head_norm is None else every.shape[2]
        grad = rotated_back(query, key, slots, cosine, sine)
        if head_norm is not None:
            grad[:, :, :turning].mul_(head_norm)
            # that of value is overwritten
            grad = norm_gradient(grad, every, head_inverse, None)
        grad[:, :, turning:end].copy_(value)
        wants_states = ctx.needs_input_grad[0]
        grad_rows, *gradients = product_gradients(
            grad.view(len(rows), -1)[:, : constants.adapter.outputs],
            *(rows, weight, constants.adapter, Kept(*kept), down, up),
            wants_rows=wants_states,
        )
        grad_states = None
        if grad_rows is not None:
            flat = norm_gradient(grad_rows, states.view(rows.shape), inverse, norm)
            grad_states = flat.view(states.shape)
        return grad_states, *gradients, *(None,) * 6


class AfterAttention(Function):
    """Output projection, residual, norm, gate and up in one product, SiLU · up, down, residual."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        attended: Tensor,
        output_weight: Tensor,
        norm: Tensor,
        gate_weight: Tensor,
        down_weight: Tensor,
        constants: AfterConstants,
        *values: Tensor | None,
    ) -> Tensor:
        """The layer's output, [batch, T, dim].

        Args:
            states: the layer's input, [batch, T, dim].
            attended: the attention's result, [batch, heads, T, head_dim].
            output_weight: [dim, heads · head_dim]; below it may be A, as below the others.
            norm: [dim].
            gate_weight: of gate and up, [2 · intermediate, dim].
            down_weight: [dim, intermediate].
            values: A and s B of the three adapters.
        """
        epsilon, adapters = constants
        dim = states.shape[-1]
        flat = attended.transpose(1, 2).reshape(-1, output_weight.shape[1])
        middle, output_kept = adapted_product(flat, output_weight, adapters[0], *values[:2])
        # A new tensor: a GPU's kernel of a norm reads whole rows.
        middle = middle[:, :dim] + states.view(-1, dim)
        rows, inverse = normed(middle, norm, epsilon)
        gate_up, gate_kept = adapted_product(
            rows, gate_weight, adapters[1], *values[2:4], keeps_product=True
        )
        gate, up = _halves(gate_up, down_weight.shape[1])
        silu = F.silu(gate)
        inner = silu * up
        result, down_kept = adapted_product(inner, down_weight, adapters[2], *values[4:])
        result = result[:, :dim] + middle
        ctx.save_for_backward(
            *(flat, output_weight, norm, gate_weight, down_weight, *values),
            *(middle, rows, inverse, gate_up, silu, inner),
            *(*output_kept, *gate_kept, *down_kept),
        )
        ctx.constants, ctx.heads = constants, attended.shape[1::2]
        return result.view(states.shape)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] # the decorator is untyped
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients of states, attended and adapters."""
        flat, output_weight, norm, gate_weight, down_weight, *others = ctx.saved_tensors
        values, kept = others[:6], others[12:]
        middle, rows, inverse, gate_up, silu, inner = others[6:12]
        adapters: tuple[Adapter, ...] = ctx.constants.adapters
        shape, grad = grad.shape, grad.reshape(middle.shape)
        grad_inner, *of_down = product_gradients(
            grad, inner, down_weight, adapters[2], Kept(*kept[4:]), *values[4:]
        )
        assert grad_inner is not None
        grad_gate = gated_back(grad_inner, gate_up, silu)
        grad_rows, *of_gate = product_gradients(
            grad_gate, rows, gate_weight, adapters[1], Kept(*kept[2:4]), *values[2:4]
        )
        assert grad_rows is not None
        grad_middle = norm_gradient(grad_rows, middle, inverse, norm).add_(grad)
        grad_flat, *of_output = product_gradients(
            grad_middle, flat, output_weight, adapters[0], Kept(*kept[:2]), *values[:2]
        )
        assert grad_flat is not None
        grad_states = grad_middle.view(shape)
        heads = grad_flat.view(*shape[:-1], *ctx.heads).transpose(1, 2)
        return grad_states, heads, *(None,) * 5, *of_output, *of_gate, *of_down


def _halves(gate_up: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Gate and up, each [n, width]."""
    return gate_up[:, :width], gate_up[:, width : 2 * width]


def gated_back(grad: Tensor, gate_up: Tensor, silu: Tensor) -> Tensor:
    """The gradient of gate and up, [n, 2 · intermediate], from that of SiLU(gate) · up."""
    width = silu.shape[1]
    gate, up = _halves(gate_up, width)
    if torch.compiler.is_compiling():  # it takes no part of a tensor as `out`
        return torch.cat([torch.ops.aten.silu_backward(grad * up, gate), grad * silu], dim=1)
    found = gate_up.new_empty(len(gate_up), 2 * width)
    of_gate, of_up = _halves(found, width)
    torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=of_gate)
    torch.mul(grad, silu, out=of_up)
    return found


def rotated_back(query: Tensor, key: Tensor, slots: int, cosine: Tensor, sine: Tensor) -> Tensor:
    """The gradient of query and key before their rotation, with room for that of value.

    Args:
        query: [batch, T, heads, head_dim], the gradient.
        key: [batch, T, key-value heads, head_dim], the gradient.
        slots: heads + 2 · key-value heads at least.

    Returns:
        [batch, T, slots, head_dim].
    """
    if torch.compiler.is_compiling():
        parts = [rotate(one, cosine, sine, -1) for one in (query, key)]
        return torch.cat([*parts, torch.zeros_like(key)], dim=2)
    batch, length, heads, head_dim = query.shape
    turning = heads + key.shape[2]
    found = query.new_empty(batch, length, slots, head_dim)
    rotate(query, cosine, sine, -1, out=found[:, :, :heads])
    rotate(key, cosine, sine, -1, out=found[:, :, heads:turning])
    return found


def rotate(
    states: Tensor, cosine: Tensor, sine: Tensor, direction: int, out: Tensor | None = None
) -> Tensor:
    """Rotates each pair (i, i + head_dim / 2) of a head (arXiv:2104.09864), or back.

    Args:
        states: [batch, T, heads, head_dim].
        cosine: [batch or 1, T, 1, head_dim]; both halves are equal.
        sine: same shape as cosine.
        direction: 1, or -1 for the negative angle, which is the gradient.
        out: for the result, in the shape of states; None is a new tensor.
    """
    half = states.shape[-1] // 2
    turned = torch.mul(states, cosine, out=out)
    turned[..., :half].addcmul_(states[..., half:], sine[..., :half], value=-direction)
    turned[..., half:].addcmul_(states[..., :half], sine[..., half:], value=direction)
    return turned
