"""A terminal's page: how many lines and columns there are, and which characters."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from fintts_store.output.streams import ERRORS
from fintts_store.output.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LABEL = 10
"""columns of the labels"""
NARROW = 36
"""with fewer columns a label stands right before its text"""
WIDEST_BAR = 60
REST = ("─", "dim")

Share = tuple[float, tuple[str, str]]
"""a share of a bar, and its character and style"""


class Page(NamedTuple):
    """What a terminal can show."""

    width: int
    height: int
    encoding: str = "utf-8"

    def plain(self, text: str) -> str:
        """One line without characters that the terminal lacks, and without control characters."""
        return one_line(text).encode(self.encoding, ERRORS).decode(self.encoding)

    def line(self, text: str, style: str = "") -> Text:
        """A line that ends at the edge."""
        line = Text(self.plain(text), style=style, no_wrap=True)
        line.truncate(self.width, overflow="crop")
        return line

    def labelled(self, label: str, parts: Iterable[str], style: str = "") -> Text:
        """A label, and as many of the parts as fit beside it."""
        start = self.label(label)
        room = self.width - cell_len(start)
        line = Text(start, style="dim", no_wrap=True)
        line.append(self.joined(parts, room), style=f"not dim {style}")
        line.truncate(self.width, overflow="crop")
        return line

    def joined(self, parts: Iterable[str], room: int) -> str:
        """The first parts that fit, with dots between them; the first one always."""
        joined = ""
        for part in map(self.plain, parts):
            longer = self.plain(f"{joined} · {part}") if joined else part
            if joined and cell_len(longer) > room:
                break
            joined = longer
        return joined

    def label(self, text: str) -> str:
        """The label with the space behind it."""
        text = self.plain(text)
        return f"{text} " if self.width < NARROW and text else text.ljust(self.indent)

    @property
    def indent(self) -> int:
        """Columns before the text of a line without a label."""
        return 0 if self.width < NARROW else LABEL

    def bar(self, label: str, shares: Sequence[Share], figure: str) -> Text:
        """A label, a line whose parts take their shares of it, and a figure.

        A share that is not 0 takes at least one column.
        """
        start = self.label(label)
        whole = left = min(self.width - cell_len(start) - len(figure) - 1, WIDEST_BAR)
        line = Text(start, style="dim", no_wrap=True)
        for share, (character, style) in shares:
            taken = min(left, max(round(share * whole), 1 if share > 0 else 0))
            line.append(self.plain(character) * taken, style=f"not dim {style}")
            left -= taken
        line.append(self.plain(REST[0]) * left, style=REST[1])
        return line.append(f" {figure}", style="not dim")

    def wrapped(self, text: str, style: str, most: int) -> list[Text]:
        """A text in at most so many lines."""
        return [self.line(line, style) for line in wrap(self.plain(text), self.width)[:most]]
