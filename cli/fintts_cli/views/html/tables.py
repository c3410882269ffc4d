"""Tables of a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; columns of figures are aligned right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: frozenset[int] = frozenset({0})
    """columns of text"""
    kinds: Mapping[int, str] = field(default_factory=dict[int, str])
    """row → a class of the style sheet"""
