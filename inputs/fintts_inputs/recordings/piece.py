"""A part of a long recording; without the packages that read sound."""

from __future__ import annotations

from typing import NamedTuple


class Piece(NamedTuple):
    """Its first sample, and how many it has."""

    first: int
    length: int
