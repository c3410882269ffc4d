"""Checks that a base model's weights are those that its config.json describes, by their shapes.

The laptop uses the headers of the files, before anything is uploaded; the trainer uses the loaded
tensors.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fintts_inputs.base_model.families import family_of
from fintts_inputs.base_model.sides import Side, Sides, shape_of
from fintts_inputs.base_model.tensors import EXPONENTS, Stored, misfit
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fintts_inputs.base_model.shape import ModelShape

SAME_RELEASE = "use config.json and weights from the same release, without a merged adapter"
AS_RELEASED = "use the released weights, not quantised"


def refuse_misfit(found: Mapping[str, Stored], shape: ModelShape) -> None:
    """Compares names, shapes and types with config.json, without those of a codec.

    Raises:
        BaseModelProblem: they differ; the hint names the key of config.json that explains it.
    """
    family = family_of(shape)
    own = {name: one for name, one in found.items() if family.reads(name)}
    wanted = family.expected(own, shape)
    problem = misfit(own, {name: shape_of(sides) for name, sides in wanted.items()})
    if problem is not None:
        raise BaseModelProblem(
            f"the base model's weights do not fit its config.json: {problem}",
            _hint(own, wanted, shape),
        )


def _hint(found: Mapping[str, Stored], wanted: Mapping[str, Sides], shape: ModelShape) -> str:
    votes = Counter(_suspects(found, wanted, shape))
    most = max(votes.values(), default=0)
    keys = sorted(key for key, count in votes.items() if count == most)
    if keys:
        return f"correct {' or '.join(keys)} in config.json, or {SAME_RELEASE}"
    fits = found.keys() == wanted.keys()
    return AS_RELEASED if fits and _has_other_types(found) else SAME_RELEASE


def _has_other_types(found: Mapping[str, Stored]) -> bool:
    return any(one.dtype not in EXPONENTS for one in found.values())


def _suspects(
    found: Mapping[str, Stored], wanted: Mapping[str, Sides], shape: ModelShape
) -> Iterator[str]:
    """The keys of config.json that would explain a difference, once for each difference.

    A key that also determines a dimension that fits explains no other dimension, unless no other
    key does.
    """
    family = family_of(shape)
    for name in found.keys() ^ wanted.keys():
        yield from family.deciding_keys(name, found, shape)
    pairs = [
        (size, side)
        for name, sides in wanted.items()
        if name in found and len(found[name].shape) == len(sides)
        for size, side in zip(found[name].shape, sides, strict=True)
    ]
    cleared = {key for size, side in pairs if size == side.size for key in side.keys}
    for size, side in pairs:
        if size != side.size:
            yield from (family.key_in_file(key, shape) for key in _explaining(side, cleared))


def _explaining(side: Side, cleared: set[str]) -> tuple[str, ...]:
    return tuple(key for key in side.keys if key not in cleared) or side.keys
