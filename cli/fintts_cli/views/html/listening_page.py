"""The values on the page of a run's samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from fintts_cli.views.units import value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.speech.samples import Row, SamplesRecord


@dataclass(frozen=True, slots=True)
class ListeningRow:
    """One speaker; `files` are links, and empty where there is nothing to hear."""

    name: str
    value: str
    files: tuple[str, ...]
    is_best: bool


@dataclass(frozen=True, slots=True)
class ListeningPage:
    """The values of `listening.html.j2`; the files lie beside the page."""

    run: str
    seed: int
    texts: tuple[str, ...]
    rows: tuple[ListeningRow, ...]

    @classmethod
    def of(cls, record: SamplesRecord, rows: Sequence[Row]) -> Self:
        """The page of these samples."""
        return cls(record.run, record.seed, record.texts, tuple(_row(one) for one in rows))


def _row(row: Row) -> ListeningRow:
    files = tuple("" if file is None else quote(file.name) for file in row.files)
    monitored = "" if row.monitored is None else f"{row.monitored[0]} {value(row.monitored[1])}"
    return ListeningRow(row.name, monitored, files, row.is_best)
