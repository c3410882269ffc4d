"""The tensors of a codec's file by their names, with weight norm folded away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.errors import CodecProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fintts_inputs.base_model.tensors import Shape

PREFIX = "generator."
DIRECTION_TO_MAGNITUDE = {
    ".parametrizations.weight.original1": ".parametrizations.weight.original0",
    ".weight_v": ".weight_g",
}
"""Two spellings of weight norm: weight = magnitude × direction / ‖direction‖."""

TABLES = (".freqs_cis", ".causal_mask")
"""Computed, and stored beside the weights all the same; not every file has them."""


def own_names(names: Iterable[str]) -> dict[str, str]:
    """Name in the file → name without the prefix of a training run's checkpoint.

    Where any name has the prefix, those without it belong to what the codec was trained against.
    """
    found = list(names)
    if any(name.startswith(PREFIX) for name in found):
        return {name: name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX)}
    return {name: name for name in found}


class Sides:
    """The shapes of a codec's weights, asked by name."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes: dict[str, Shape] = {}
        for name, shape in shapes.items():
            for direction in DIRECTION_TO_MAGNITUDE:
                if name.endswith(direction):
                    self._shapes[name.removesuffix(direction) + ".weight"] = shape
            self._shapes[name] = shape

    def of(self, name: str, dimensions: int) -> Shape:
        """The shape of a weight. Raises CodecProblem where there is none of so many dimensions."""
        shape = self._shapes.get(name, ())
        if len(shape) != dimensions or 0 in shape:
            raise CodecProblem(
                f"the codec has no {name} of {dimensions} dimensions",
                "use the codec's file as released with the base model",
            )
        return shape

    def has(self, name: str) -> bool:
        """Whether there is such a weight."""
        return name in self._shapes

    def count(self, prefix: str, suffix: str, first: int = 0) -> int:
        """How many of PREFIX0SUFFIX, PREFIX1SUFFIX, … there are in a row, from `first` on."""
        number = first
        while self.has(f"{prefix}{number}{suffix}"):
            number += 1
        return number - first
