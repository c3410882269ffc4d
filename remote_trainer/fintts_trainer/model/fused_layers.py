"""A transformer layer of Llama, Qwen3 or CSM as two autograd nodes around its attention.

transformers' layer with PEFT's adapter is some hundred nodes and as many calls of modules; a GPU
waits longer for their launches than it computes. Modules, parameters and their names stay.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from transformers.activations import SiLUActivation
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.csm.modeling_csm import CsmDecoderLayer, CsmRMSNorm
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer, Qwen3RMSNorm

from fintts_trainer.model.attention import attend
from fintts_trainer.model.fused_lora import during, fuse_adapted_linears
from fintts_trainer.model.joined import Joined, Pack, base_weight
from fintts_trainer.model.layer_nodes import (
    AfterAttention,
    AfterConstants,
    BeforeAttention,
    BeforeConstants,
)
from fintts_trainer.model.rms_norm import FusedNorm

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import Cache

LAYERS = (CsmDecoderLayer, LlamaDecoderLayer, Qwen3DecoderLayer)
ROWS = 8
"""16 bytes of bfloat16, as a GPU's matrix units read"""
NORMS = (CsmRMSNorm, LlamaRMSNorm, Qwen3RMSNorm)


def fuse_layers(model: nn.Module) -> int:
    """Fuses layers, the norms and adapted linears outside of them; returns the number of adapted
    linears that PEFT still computes.

    In float32 the numbers are the same within rounding; in bfloat16 they are rounded less often.
    """
    computed = set[nn.Module]()
    for layer in [one for one in model.modules() if isinstance(one, LAYERS)]:
        with suppress(ValueError):
            parts = LayerParts(layer)
            fused = cast("FusedLayer", layer)
            fused.__class__, fused.parts = FusedLayer, parts
            computed.update(parts.linears())
    for module in model.modules():
        if isinstance(module, NORMS):
            cast("nn.Module", module).__class__ = FusedNorm
    return fuse_adapted_linears(model, frozenset(computed))


def make_room(model: nn.Module) -> None:
    """Lets the products of fused layers read W and A as one matrix, as a `FlatAdapter` that is made
    afterwards fills it. It saves launches, and on a CPU the wider products cost more than that."""
    for module in model.modules():
        if isinstance(module, FusedLayer):
            module.parts.make_room()


class LayerParts:
    """What the two nodes of a layer read, without the way through its modules."""

    def __init__(self, layer: Any) -> None:
        """Raises ValueError if a linear has a bias or more than a plain LoRA."""
        attention, mlp = layer.self_attn, layer.mlp
        if not isinstance(mlp.act_fn, nn.SiLU | SiLUActivation):
            raise ValueError("the gate is not a SiLU")
        self._layer, self.attention = layer, attention
        groups = (
            (attention.q_proj, attention.k_proj, attention.v_proj),
            (attention.o_proj,),
            (mlp.gate_proj, mlp.up_proj),
            (mlp.down_proj,),
        )
        self.joined = tuple(map(Joined, groups))
        self.before, self.after = Pack(self.joined[:1]), Pack(self.joined[1:])
        head_dim: int = attention.head_dim
        heads, kv_heads = (
            len(base_weight(linear)) // head_dim for linear in (attention.q_proj, attention.k_proj)
        )
        of_heads, *others = (one.adapter for one in self.joined)
        first, second = layer.input_layernorm, layer.post_attention_layernorm
        head_norm = getattr(attention, "q_norm", first)
        epsilons = first.variance_epsilon, head_norm.variance_epsilon
        self.constants = (
            BeforeConstants(heads, kv_heads, head_dim, *epsilons, of_heads),
            AfterConstants(second.variance_epsilon, tuple(others)),
        )
        self.read_weights()

    def read_weights(self) -> None:
        """Joins the weights, at first and after each move."""
        layer, (before, _) = self._layer, self.constants
        self.weights = [one.join() for one in self.joined]
        self.norms = [
            one.weight.detach() for one in (layer.input_layernorm, layer.post_attention_layernorm)
        ]
        self.head_norm: Tensor | None = None
        if hasattr(self.attention, "q_norm"):
            ofs = (self.attention.q_norm.weight, self.attention.k_norm.weight)
            parts = zip(ofs, (before.heads, before.kv_heads), strict=True)
            self.head_norm = torch.cat([of.detach().expand(n, -1) for of, n in parts])

    def make_room(self) -> None:
        """For A below the weights. That of query, key and value is as wide as heads, whose norm
        reads whole rows."""
        head_dim = self.constants[0].head_dim
        for one, multiple in zip(self.joined, (head_dim, *(ROWS,) * 3), strict=True):
            one.make_room(multiple)
        self.weights = [one.rows for one in self.joined]

    def linears(self) -> list[nn.Module]:
        """All seven."""
        return [linear for one in self.joined for linear in one.linears]


class FusedLayer(GradientCheckpointingLayer):
    """A layer that computes its seven linears and its norms in two nodes.

    Attributes:
        device_type: as `attend` takes it.
    """

    parts: LayerParts
    device_type: str | None = None

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = False,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        **options: Any,
    ) -> Tensor:
        """The signature is that of transformers' layers.

        Args:
            hidden_states: [batch, T, dim].
            attention_mask: as `attend` takes it.
            position_ids: is not read.
            past_key_values: the earlier positions; the new ones are added to it.
            use_cache: is not read.
            position_embeddings: cosine and sine, each [batch or 1, T, head_dim].
            options: for `attend`.

        Returns:
            [batch, T, dim].
        """
        assert position_embeddings is not None
        parts, attention = self.parts, self.parts.attention
        before, after = parts.constants
        if not self.training:
            before, after = without_dropout(before, after)
        of_heads, *others = parts.weights
        first, second = parts.norms
        cosine, sine = (one[:, :, None] for one in position_embeddings)
        # torch's own signature of `apply` is untyped.
        query, key, value = BeforeAttention.apply(  # type: ignore[no-untyped-call]
            *(hidden_states, *parts.before.values(), of_heads, first, parts.head_norm),
            *(cosine, sine, before),
        )
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, attention.layer_idx)
        attended = attend(
            *(attention, query, key, value, attention_mask),
            attention.attention_dropout if self.training else 0.0,
            *(attention.scaling, self.device_type),
            **options,
        )
        result = AfterAttention.apply(  # type: ignore[no-untyped-call]
            *(hidden_states, attended, others[0], second, *others[1:], after),
            *parts.after.values(),
        )
        return cast("Tensor", result)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FusedLayer:
        """Joins the weights again, which `fn` has moved or changed one by one."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.parts.read_weights()
        return self


def without_dropout(
    before: BeforeConstants, after: AfterConstants
) -> tuple[BeforeConstants, AfterConstants]:
    """The constants outside of training."""
    adapters = tuple(during(one, training=False) for one in after.adapters)
    return (
        before._replace(adapter=during(before.adapter, training=False)),
        after._replace(adapters=adapters),
    )
