"""The shape of a tensor with the keys of config.json that determine each dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fintts_inputs.base_model.shape import StackShape
    from fintts_inputs.base_model.tensors import Shape


class Side(NamedTuple):
    """One dimension of a tensor."""

    size: int
    keys: tuple[str, ...]
    """the keys of config.json, in the family's spelling"""


Sides = tuple[Side, ...]


def shape_of(sides: Sides) -> Shape:
    """The sizes alone."""
    return tuple(side.size for side in sides)


class StackKeys(NamedTuple):
    """The keys for the sizes of one stack in a family's config.json."""

    layers: str
    dim: str
    heads: str
    kv_heads: str
    head_dim: str
    intermediate: str


class StackSides(NamedTuple):
    """The dimensions of a layer's matrices."""

    dim: Side
    queries: Side
    keys: Side
    """of keys and values"""
    fused: Side
    """queries, keys and values concatenated"""
    head: Side
    intermediate: Side


def sides_of(stack: StackShape, keys: StackKeys) -> StackSides:
    """The dimensions of a stack's matrices."""
    queries, shared = stack.heads * stack.head_dim, stack.kv_heads * stack.head_dim
    return StackSides(
        dim=Side(stack.dim, (keys.dim,)),
        queries=Side(queries, (keys.heads, keys.head_dim)),
        keys=Side(shared, (keys.kv_heads, keys.head_dim)),
        fused=Side(queries + 2 * shared, (keys.heads, keys.kv_heads, keys.head_dim)),
        head=Side(stack.head_dim, (keys.head_dim,)),
        intermediate=Side(stack.intermediate, (keys.intermediate,)),
    )


def llama_stack(prefix: str, stack: StackShape, keys: StackKeys) -> dict[str, Sides]:
    """The weights of a stack of Llama blocks and its final norm, with transformers' names below
    `prefix`."""
    side = sides_of(stack, keys)
    in_a_layer: dict[str, Sides] = {
        "self_attn.q_proj": (side.queries, side.dim),
        "self_attn.k_proj": (side.keys, side.dim),
        "self_attn.v_proj": (side.keys, side.dim),
        "self_attn.o_proj": (side.dim, side.queries),
        "mlp.gate_proj": (side.intermediate, side.dim),
        "mlp.up_proj": (side.intermediate, side.dim),
        "mlp.down_proj": (side.dim, side.intermediate),
        "input_layernorm": (side.dim,),
        "post_attention_layernorm": (side.dim,),
    }
    layers = {
        f"{prefix}layers.{layer}.{name}.weight": sides
        for layer in range(stack.layers)
        for name, sides in in_a_layer.items()
    }
    return {**layers, f"{prefix}norm.weight": (side.dim,)}
