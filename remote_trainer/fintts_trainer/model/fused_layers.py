"""transformers' attention and norms with fewer kernels; modules, parameters and names stay.

Written out, a root mean square norm takes 22 kernels forward and backward, and a rotation 14. A
GPU waits for their launches longer than it computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from transformers.models.csm.modeling_csm import CsmAttention, CsmRMSNorm
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention, Qwen3RMSNorm

from fintts_trainer.model.attention import causal_attention

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import Cache

ATTENTIONS = (CsmAttention, LlamaAttention, Qwen3Attention)
NORMS = (CsmRMSNorm, LlamaRMSNorm, Qwen3RMSNorm)


def fuse_layers(model: nn.Module) -> int:
    """Makes each attention and norm of the model a fused one; returns their number.

    In float32 the numbers are the same within rounding; in bfloat16 they are rounded less often.
    """
    kinds: list[tuple[tuple[type[nn.Module], ...], type[nn.Module]]] = [
        (ATTENTIONS, FusedAttention),
        (NORMS, FusedNorm),
    ]
    count = 0
    for kind, fused in kinds:
        for module in model.modules():
            if isinstance(module, kind):
                module.__class__ = fused
                count += 1
    return count


class FusedNorm(nn.Module):
    """x / sqrt(mean(x²) + ε) · weight (arXiv:1910.07467); torch has it as one kernel for GPUs."""

    weight: nn.Parameter
    variance_epsilon: float

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[..., dim] → [..., dim]."""
        size = self.weight.shape
        return F.rms_norm(hidden_states, list(size), self.weight, self.variance_epsilon)


class FusedAttention(nn.Module):
    """The attention of Llama, Qwen3 and CSM, which differ in the norms of query and key alone.

    Attributes:
        device_type: as `causal_attention` takes it.
    """

    device_type: str | None = None

    q_proj: nn.Module
    k_proj: nn.Module
    v_proj: nn.Module
    o_proj: nn.Module
    head_dim: int
    layer_idx: int
    scaling: float
    attention_dropout: float

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        **options: Any,
    ) -> tuple[Tensor, None]:
        """The signature is that of transformers' layers.

        Args:
            hidden_states: [batch, T, dim].
            position_embeddings: cosine and sine, each [batch or 1, T, head_dim].
            attention_mask: as `causal_attention` takes it.
            past_key_values: the earlier positions; the new ones are added to it.
            options: for `causal_attention`.

        Returns:
            [batch, T, dim], and None in place of the probabilities.
        """
        batch, length, _ = hidden_states.shape
        heads = (batch, length, -1, self.head_dim)
        query = self.q_proj(hidden_states).view(heads)
        key = self.k_proj(hidden_states).view(heads)
        value = self.v_proj(hidden_states).view(heads).transpose(1, 2)
        if hasattr(self, "q_norm"):
            norms = cast("Iterable[nn.Module]", (self.q_norm, self.k_norm))
            query, key = (norm(one) for norm, one in zip(norms, (query, key), strict=True))
        query = rotated(query, *position_embeddings).transpose(1, 2)
        key = rotated(key, *position_embeddings).transpose(1, 2)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        dropout = self.attention_dropout if self.training else 0.0
        output, _ = causal_attention(
            self,
            query,
            key,
            value,
            attention_mask,
            dropout,
            self.scaling,
            self.device_type,
            **options,
        )
        return self.o_proj(output.reshape(batch, length, -1)), None


def rotated(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotates each pair (i, i + head_dim / 2) of a head (arXiv:2104.09864).

    Args:
        states: [batch, T, heads, head_dim].
        cosine: [batch or 1, T, head_dim]; both halves are equal.
        sine: same shape as cosine.
    """
    # torch's own signature of `apply` is untyped.
    return cast("Tensor", _Rotation.apply(states, cosine[:, :, None], sine[:, :, None]))  # type: ignore[no-untyped-call]


class _Rotation(Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        return _rotate(states, cosine, sine, 1)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] # the decorator is untyped
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor, None, None]:
        """The rotation by the negative angle."""
        cosine, sine = ctx.saved_tensors
        return _rotate(grad, cosine, sine, -1), None, None


def _rotate(states: Tensor, cosine: Tensor, sine: Tensor, direction: int) -> Tensor:
    half = states.shape[-1] // 2
    turned = states * cosine
    turned[..., :half].addcmul_(states[..., half:], sine[..., :half], value=-direction)
    turned[..., half:].addcmul_(states[..., :half], sine[..., half:], value=direction)
    return turned
