"""The tensors of a codec's file by name, with weight norm folded."""

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
"""Tables that can be computed; some files store them with the weights."""


def own_names(names: Iterable[str]) -> dict[str, str]:
    """Name in the file → name without the prefix of a training run's checkpoint.

    If any name has the prefix, those without it belong to the discriminators.
    """
    found = list(names)
    if any(name.startswith(PREFIX) for name in found):
        return {name: name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX)}
    return {name: name for name in found}


class Sides:
    """The shapes of a codec's weights by name."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes: dict[str, Shape] = {}
        for name, shape in shapes.items():
            for direction in DIRECTION_TO_MAGNITUDE:
                if name.endswith(direction):
                    self._shapes[name.removesuffix(direction) + ".weight"] = shape
            self._shapes[name] = shape

    def of(self, name: str, dimensions: int) -> Shape:
        """The shape of a weight. Raises CodecProblem if there is none with that many dimensions."""
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
        """The number of consecutive names PREFIX0SUFFIX, PREFIX1SUFFIX, … from `first` on."""
        number = first
        while self.has(f"{prefix}{number}{suffix}"):
            number += 1
        return number - first
