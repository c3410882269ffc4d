"""Tables that fit a terminal: the least important columns are dropped, and named."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from fintts_cli.views.units import table

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = 2
"""columns of the terminal between two of the table"""


def fitting_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    dispensable: Sequence[str],
    width: int | None,
    *,
    left: int,
) -> tuple[str, list[str]]:
    """The table, and a sentence that names the dropped columns, wrapped to the terminal.

    Args:
        dispensable: names of columns, in the order in which they are dropped.
        width: columns of the terminal; None for a table of any width.
        left: how many columns of the whole table are aligned left.
    """
    kept = list(range(len(header)))
    for name in dispensable:
        widths = [max(len(row[place]) for row in (header, *rows)) for place in kept]
        if width is None or sum(widths) + GAP * (len(kept) - 1) <= width:
            break
        kept.remove(header.index(name))
    shown = [[row[place] for place in kept] for row in (header, *rows)]
    text = table(shown[0], shown[1:], left=sum(1 for place in kept if place < left))
    dropped = [name for place, name in enumerate(header) if place not in kept]
    if not dropped:
        return text, []
    note = f"not shown here: {', '.join(dropped)}; a wider terminal or --json shows all"
    return text, wrapped([note], width)


def wrapped(notes: Sequence[str], width: int | None) -> list[str]:
    """Lines of at most `width` columns; the notes as they are without a width."""
    if width is None:
        return list(notes)
    return [line for note in notes for line in wrap(note, max(width, 1))]
