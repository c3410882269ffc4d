"""The root mean square norm, x / sqrt(mean(x²) + ε) · weight (arXiv:1910.07467), and its gradient.

transformers writes it out, which takes 22 kernels forward and backward. torch has one for each
direction on a GPU. Where torch.compile fuses by itself, both are written out here; so is the
gradient on a CPU.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn


def normed(states: Tensor, weight: Tensor | None, epsilon: float) -> tuple[Tensor, Tensor]:
    """The norm of [..., dim] in the same type, and 1 / sqrt(mean(x²) + ε), float32 [..., 1]."""
    if not torch.compiler.is_compiling():
        # a kernel on a GPU, a composition of others elsewhere
        norm, inverse = torch.ops.aten._fused_rms_norm(states, states.shape[-1:], weight, epsilon)
        return norm, inverse
    exact = states.float()
    inverse = exact.square().mean(-1, keepdim=True).add(epsilon).rsqrt()
    unit = exact * inverse
    return (unit if weight is None else unit * weight).to(states.dtype), inverse


def norm_gradient(grad: Tensor, states: Tensor, inverse: Tensor, weight: Tensor | None) -> Tensor:
    """The gradient of `states`, from that of their norm; the weight is frozen.

    Args:
        inverse: as `normed` returns it.
    """
    if states.is_cuda and not torch.compiler.is_compiling():
        found, _ = torch.ops.aten._fused_rms_norm_backward(
            grad, states, states.shape[-1:], inverse, weight, [True, False]
        )
        return cast("Tensor", found)
    unit, upstream = states.float() * inverse, grad.float()
    if weight is not None:
        upstream = upstream * weight
    share = (upstream * unit).sum(-1, keepdim=True)
    found = upstream.addcmul(unit, share, value=-1.0 / states.shape[-1])
    return found.mul_(inverse).to(states.dtype)


class FusedNorm(nn.Module):
    """A norm outside of the fused layers, with torch's own gradient."""

    weight: nn.Parameter
    variance_epsilon: float

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[..., dim] → [..., dim]."""
        size = self.weight.shape
        return F.rms_norm(hidden_states, list(size), self.weight, self.variance_epsilon)
