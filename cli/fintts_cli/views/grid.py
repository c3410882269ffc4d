"""A table, as text or on a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fintts_cli.views.units import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; columns of figures are aligned right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: int = 1
    """the first columns, which hold text"""
    kinds: Mapping[int, str] = field(default_factory=dict[int, str])
    """row → a class of the style sheet"""

    def render(self) -> str:
        """The table as text, indented."""
        header = [name.upper() for name in self.header]
        lines = table(header, self.rows, left=self.text).splitlines()
        return "\n".join(f"  {line}" for line in lines)
