"""The weights of Fish Speech's models under their names in each release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.base_model.fish.prompts import FISH_S2
from fintts_inputs.base_model.sides import Side, Sides, StackKeys, sides_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fintts_inputs.base_model.shape import ModelShape, StackShape

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
"""Fish Speech's name → ours."""

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
LAYERS = "layers."
CODEBOOK_EMBEDDINGS = "codebook_embeddings."

SLOW_KEYS = StackKeys("n_layer", "dim", "n_head", "n_local_heads", "head_dim", "intermediate_size")
FAST_KEYS = StackKeys("n_fast_layer", *(FAST + key for key in SLOW_KEYS[1:]))

OPTIONAL = {
    "output.weight": ("tie_word_embeddings",),
    "fast_project_in.weight": ("dim", "fast_dim"),
    "fast_project_in.bias": ("dim", "fast_dim"),
}
"""Embedding or head → the keys that decide whether it exists."""

S2_KEYS = {
    "n_fast_layer": "audio_decoder_config.n_layer",
    "codebook_size": "audio_decoder_config.vocab_size",
    "num_codebooks": "audio_decoder_config.num_codebooks",
}


@dataclass(frozen=True, slots=True)
class Spelling:
    """The prefix that a release adds to the names of the weights."""

    slow: str = ""
    fast: str = FAST
    codebook_embeddings: str = ""

    def of(self, key: str) -> str:
        """The name in this release of the weight that 1.5 and S1-mini call `key`."""
        if key.startswith(FAST):
            return self.fast + key.removeprefix(FAST)
        if key.startswith(CODEBOOK_EMBEDDINGS):
            return self.codebook_embeddings + key
        return self.slow + key

    def plain(self, name: str) -> str:
        """The name in 1.5 and S1-mini of the weight that this release calls `name`."""
        if name.startswith(self.codebook_embeddings + CODEBOOK_EMBEDDINGS):
            return name.removeprefix(self.codebook_embeddings)
        if name.startswith(self.fast):
            return FAST + name.removeprefix(self.fast)
        return name.removeprefix(self.slow)


PLAIN = Spelling()
S2 = Spelling("text_model.model.", "audio_decoder.", "audio_decoder.")


def spelling_of(names: Iterable[str]) -> Spelling:
    """The spelling of the release with these weights."""
    return S2 if any(name.startswith((S2.slow, S2.fast)) for name in names) else PLAIN


def layers_of(shape: ModelShape) -> Iterator[tuple[str, str, StackShape]]:
    """(Fish's prefix, our prefix, stack) of each layer."""
    for index in range(shape.slow.layers):
        yield f"layers.{index}.", f"slow.layers.{index}.", shape.slow
    for index in range(shape.fast.layers):
        yield f"fast_layers.{index}.", f"fast.layers.{index}.", shape.fast


def expected(shape: ModelShape) -> dict[str, Sides]:
    """Each weight that config.json describes, under its name in 1.5 and S1-mini."""
    found = _ends(shape)
    in_slow, in_fast = _in_a_layer(shape.slow, SLOW_KEYS), _in_a_layer(shape.fast, FAST_KEYS)
    for prefix, _, stack in layers_of(shape):
        names = in_slow if stack is shape.slow else in_fast
        found |= {prefix + name: sides for name, sides in names.items()}
    return found


def deciding_keys(name: str) -> tuple[str, ...]:
    """The keys of config.json that decide whether a weight of this (plain) name exists."""
    fast, plain = name.startswith(FAST), name.removeprefix(FAST)
    if name.endswith(tuple(ROTATED_NORMS)):
        return (FAST * fast + "attention_qk_norm",)
    if plain.startswith(LAYERS):
        return ((FAST_KEYS if fast else SLOW_KEYS).layers,)
    return OPTIONAL.get(name, ())


def spelled(names: Iterable[str], shape: ModelShape) -> dict[str, Sides]:
    """The expected weights, under the names of the release with these weights."""
    spelling = spelling_of(names)
    return {spelling.of(key): sides for key, sides in expected(shape).items()}


def deciding_keys_in_file(name: str, names: Iterable[str], shape: ModelShape) -> tuple[str, ...]:
    """The keys of this model's config.json that decide whether a weight of this name exists."""
    keys = deciding_keys(spelling_of(names).plain(name))
    return tuple(key_in_file(key, shape) for key in keys)


def key_in_file(key: str, shape: ModelShape) -> str:
    """The name of S1-mini's `key` in this model's config.json; S2's is nested."""
    if shape.prompt != FISH_S2:
        return key
    nested = f"audio_decoder_config.{key.removeprefix(FAST)}"
    return S2_KEYS.get(key, nested if key.startswith(FAST) else f"text_config.{key}")


def _ends(shape: ModelShape) -> dict[str, Sides]:
    slow, fast = Side(shape.slow.dim, ("dim",)), Side(shape.fast.dim, ("fast_dim",))
    text, codes = (
        Side(shape.vocab_size, ("vocab_size",)),
        Side(shape.codebook_size, ("codebook_size",)),
    )
    all_codes = shape.codebook_size * shape.num_codebooks
    found: dict[str, Sides] = {
        "embeddings.weight": (text, slow),
        "codebook_embeddings.weight": (Side(all_codes, ("num_codebooks", "codebook_size")), slow),
        "norm.weight": (slow,),
        "output.weight": (text, slow),
        "fast_project_in.weight": (fast, slow),
        "fast_project_in.bias": (fast,),
        "fast_embeddings.weight": (codes, fast),
        "fast_norm.weight": (fast,),
        "fast_output.weight": (codes, fast),
    }
    if shape.tied_head:
        del found["output.weight"]
    if shape.slow.dim == shape.fast.dim:
        del found["fast_project_in.weight"], found["fast_project_in.bias"]
    return found


def _in_a_layer(stack: StackShape, keys: StackKeys) -> dict[str, Sides]:
    side = sides_of(stack, keys)
    return {
        FUSED: (side.fused, side.dim),
        "attention.wo.weight": (side.dim, side.queries),
        "feed_forward.w1.weight": (side.intermediate, side.dim),
        "feed_forward.w2.weight": (side.dim, side.intermediate),
        "feed_forward.w3.weight": (side.intermediate, side.dim),
        "attention_norm.weight": (side.dim,),
        "ffn_norm.weight": (side.dim,),
        **{name: (side.head,) for name in (ROTATED_NORMS if stack.qk_norm else ())},
    }
