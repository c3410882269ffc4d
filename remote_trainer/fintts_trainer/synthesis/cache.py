"""Keys and values of earlier positions, so that each position passes through a model once."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache


class KeyValueCache:
    """What transformers' models ask of a cache, in memory that is allocated once.

    Its `DynamicCache` copies everything at each position, and its `StaticCache` computes attention
    over all of the room.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}
        self._lengths: dict[int, int] = {}

    def update(
        self, keys: Tensor, values: Tensor, layer: int, *_more: object
    ) -> tuple[Tensor, Tensor]:
        """Adds positions [batch, heads, new, head_dim] of a layer; returns all of its positions."""
        begin = self._lengths.get(layer, 0)
        end = begin + keys.shape[2]
        found: list[Tensor] = []
        for new, kept in ((keys, self._keys), (values, self._values)):
            if layer not in kept:
                kept[layer] = new.new_empty(*new.shape[:2], self._room, new.shape[3])
            kept[layer][:, :, begin:end] = new
            found.append(kept[layer][:, :, :end])
        self._lengths[layer] = end
        return found[0], found[1]

    def get_seq_length(self, layer: int = 0) -> int:
        """Positions of a layer; transformers' name."""
        return self._lengths.get(layer, 0)

    def clear(self) -> None:
        """Begins again, in the same memory."""
        self._lengths.clear()

    @property
    def for_transformers(self) -> Cache:
        """Itself, under the type that transformers declares."""
        return cast("Cache", self)
