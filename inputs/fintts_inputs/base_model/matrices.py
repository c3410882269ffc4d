"""The matrices of a base model that an adapter changes, by the names of their modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fintts_inputs.base_model.families import family_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fintts_inputs.base_model.shape import ModelShape, StackShape
    from fintts_inputs.base_model.tensors import Shape
    from fintts_inputs.config import LoraConfig, Target

PEFT_PREFIX = "base_model.model."
"""PEFT's prefix of module names"""

IN_A_LAYER: dict[Target, tuple[str, ...]] = {
    "attention": tuple(f"self_attn.{name}_proj" for name in "qkvo"),
    "mlp": tuple(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
}
"""in the order of `StackShape.linears`; transformers' names, which every family keeps"""


class Matrix(NamedTuple):
    """A matrix that an adapter changes."""

    module: str
    inputs: int
    outputs: int


def matrices(shape: ModelShape, target: Target) -> Iterator[Matrix]:
    """The modules that this target means in a base model."""
    modules, ends = family_of(shape).modules, shape.ends
    if target == "embeddings":
        yield from _matrices(modules.embeddings, ends.embeddings)
    elif target == "heads":  # the first is no module where it is tied to the embeddings
        yield from _matrices(modules.heads[-len(ends.heads) :], ends.heads)
    else:
        yield from _in_layers(modules.slow, shape.slow, target)
        if shape.second is not None:
            yield from _in_layers(modules.fast, shape.second, target)


def adapter_tensors(shape: ModelShape, lora: LoraConfig) -> dict[str, Shape]:
    """Name → shape of the tensors that PEFT saves for an adapter on this base model."""
    found: dict[str, Shape] = {}
    for target in lora.targets:
        a, b = (
            ("lora_embedding_A", "lora_embedding_B")
            if target == "embeddings"
            else ("lora_A.weight", "lora_B.weight")
        )
        for one in matrices(shape, target):
            found[f"{PEFT_PREFIX}{one.module}.{a}"] = (lora.rank, one.inputs)
            found[f"{PEFT_PREFIX}{one.module}.{b}"] = (one.outputs, lora.rank)
    return found


def _in_layers(stack: str, shape: StackShape, target: Target) -> Iterator[Matrix]:
    for layer in range(shape.layers):
        names = (f"{stack}.layers.{layer}.{name}" for name in IN_A_LAYER[target])
        yield from _matrices(names, shape.linears[target])


def _matrices(names: Iterable[str], sizes: Iterable[tuple[int, int]]) -> Iterator[Matrix]:
    for name, (inputs, outputs) in zip(names, sizes, strict=True):
        yield Matrix(name, inputs, outputs)
