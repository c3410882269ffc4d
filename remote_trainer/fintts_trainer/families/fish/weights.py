"""Fish Speech's state dict to ours and back: the same numbers in another order, nothing lost.

Fish fuses query, key and value into one matrix and rotates interleaved pairs (2i, 2i + 1);
transformers keeps three matrices and rotates halves (i, i + head_dim / 2). Permuting the rows of
query and key, and their norms, turns the one into the other exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fintts_trainer.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from fintts_trainer.families.fish.model import DualAR
    from fintts_trainer.families.fish.weight_files import StateDict
    from fintts_trainer.shape import ModelShape, StackShape

ENDS = {
    "embeddings.weight": "slow.embed_tokens.weight",
    "codebook_embeddings.weight": "codebook_embeddings.weight",
    "norm.weight": "norm.weight",
    "output.weight": "lm_head.weight",
    "fast_project_in.weight": "fast_project_in.weight",
    "fast_project_in.bias": "fast_project_in.bias",
    "fast_embeddings.weight": "fast.embed_tokens.weight",
    "fast_norm.weight": "fast.norm.weight",
    "fast_output.weight": "fast_head.weight",
}
IN_A_LAYER = {
    "attention.wo.weight": "self_attn.o_proj.weight",
    "feed_forward.w1.weight": "mlp.gate_proj.weight",
    "feed_forward.w2.weight": "mlp.down_proj.weight",
    "feed_forward.w3.weight": "mlp.up_proj.weight",
    "attention_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
}
ROTATED_NORMS = {
    "attention.q_norm.weight": "self_attn.q_norm.weight",
    "attention.k_norm.weight": "self_attn.k_norm.weight",
}
FUSED = "attention.wqkv.weight"
APART = tuple(f"self_attn.{name}_proj.weight" for name in "qkv")

FAST = "fast_"
CODEBOOK_EMBEDDINGS = "codebook_embeddings."


@dataclass(frozen=True, slots=True)
class Spelling:
    """What a release puts before the names of the weights."""

    slow: str = ""
    fast: str = FAST
    codebook_embeddings: str = ""

    def of(self, key: str) -> str:
        """The name in this release of what model.pth of 1.5 and S1-mini calls `key`."""
        if key.startswith(FAST):
            return self.fast + key.removeprefix(FAST)
        if key.startswith(CODEBOOK_EMBEDDINGS):
            return self.codebook_embeddings + key
        return self.slow + key


PLAIN = Spelling()
S2 = Spelling("text_model.model.", "audio_decoder.", "audio_decoder.")


def spelling_of(keys: Iterable[str]) -> Spelling:
    """How the release with these weights spells them."""
    return S2 if any(key.startswith((S2.slow, S2.fast)) for key in keys) else PLAIN


def load_into(model: DualAR, state: StateDict) -> None:
    """Loads Fish's weights into a model on the meta device, strictly.

    Raises:
        BaseModelProblem: a weight is missing, unexpected or of another shape; each is named.
    """
    converted = from_fish(state, model.shape)
    expected = model.state_dict()
    for key, weight in converted.items():
        if weight.shape != expected[key].shape:
            raise BaseModelProblem(
                f"the base model's {key} has shape {tuple(weight.shape)}, "
                f"but its config.json says {tuple(expected[key].shape)}"
            )
    model.load_state_dict(converted, strict=True, assign=True)


def from_fish(state: StateDict, shape: ModelShape) -> StateDict:
    """Our state dict from Fish's, whichever way it is spelled.

    Raises:
        BaseModelProblem: keys are missing or left over.
    """
    state = _plain(state, shape)
    ours: StateDict = {ours: state[fish] for fish, ours in ENDS.items() if fish in state}
    for fish, own, stack in layers_of(shape):
        parts = split_fused(state[fish + FUSED], stack)
        ours |= {own + name: part for name, part in zip(APART, parts, strict=True)}
        ours |= {own + b: state[fish + a] for a, b in IN_A_LAYER.items()}
        if stack.qk_norm:
            norms = ROTATED_NORMS.items()
            ours |= {own + b: _to_halves(state[fish + a], stack.head_dim) for a, b in norms}
    return ours


def to_fish(ours: StateDict, shape: ModelShape, spelling: Spelling = PLAIN) -> StateDict:
    """Fish's state dict from ours: the inverse of `from_fish`, bit for bit."""
    state: StateDict = {fish: ours[own] for fish, own in ENDS.items() if own in ours}
    for fish, own, stack in layers_of(shape):
        q, k, v = (ours[own + name] for name in APART)
        rotated = [_to_pairs(q, stack.head_dim), _to_pairs(k, stack.head_dim)]
        state[fish + FUSED] = torch.cat([*rotated, v])
        state |= {fish + a: ours[own + b] for a, b in IN_A_LAYER.items()}
        if stack.qk_norm:
            norms = ROTATED_NORMS.items()
            state |= {fish + a: _to_pairs(ours[own + b], stack.head_dim) for a, b in norms}
    return {spelling.of(key): weight for key, weight in state.items()}


def layers_of(shape: ModelShape) -> Iterator[tuple[str, str, StackShape]]:
    """(Fish's prefix, our prefix, stack) of each layer."""
    for index in range(shape.slow.layers):
        yield f"layers.{index}.", f"slow.layers.{index}.", shape.slow
    for index in range(shape.fast.layers):
        yield f"fast_layers.{index}.", f"fast.layers.{index}.", shape.fast


def _expected_keys(shape: ModelShape) -> set[str]:
    keys = set(ENDS)
    if shape.tied_head:
        keys.discard("output.weight")
    if shape.slow.dim == shape.fast.dim:
        keys -= {"fast_project_in.weight", "fast_project_in.bias"}
    for prefix, _, stack in layers_of(shape):
        names = [FUSED, *IN_A_LAYER, *(ROTATED_NORMS if stack.qk_norm else ())]
        keys |= {prefix + name for name in names}
    return keys


def _plain(state: StateDict, shape: ModelShape) -> StateDict:
    """The same weights under the names of model.pth, each of them there, and no other."""
    spelling = spelling_of(state)
    names = {key: spelling.of(key) for key in _expected_keys(shape)}
    missing = sorted(set(names.values()) - state.keys())
    extra = sorted(state.keys() - set(names.values()))
    if missing or extra:
        parts = [
            f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})"
            for what, keys in (("missing", missing), ("unexpected", extra))
            if keys
        ]
        raise BaseModelProblem(
            f"the base model's weights do not fit its config.json: {' and '.join(parts)}",
            "take config.json and the weights from the same release, without an adapter in them",
        )
    return {key: state[name] for key, name in names.items()}


def split_fused(rows: Tensor, stack: StackShape) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of Fish's fused matrix, [query + key + value, …] → each alone, rotated as ours are."""
    kv = stack.kv_heads * stack.head_dim
    q, k, v = torch.split(rows, [stack.heads * stack.head_dim, kv, kv])
    return _to_halves(q, stack.head_dim), _to_halves(k, stack.head_dim), v


def _to_halves(rows: Tensor, head_dim: int) -> Tensor:
    """Interleaved pairs → halves, along the first dimension of each head."""
    pairs = rows.view(-1, head_dim // 2, 2, *rows.shape[1:])
    return pairs.transpose(1, 2).reshape(rows.shape)


def _to_pairs(rows: Tensor, head_dim: int) -> Tensor:
    """Halves → interleaved pairs: the inverse of `_to_halves`."""
    halves = rows.view(-1, 2, head_dim // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)
