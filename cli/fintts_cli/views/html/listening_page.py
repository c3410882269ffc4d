"""The values on the page of a run's samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import quote

from fintts_cli.views.html.data_url import data_url
from fintts_cli.views.mel_picture import mel_picture
from fintts_cli.views.units import value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fintts_cli.speech.samples import Row, SamplesRecord


class HeardFile(NamedTuple):
    """A link to a WAV file, and its mel spectrogram as a data URL; empty if it has none."""

    link: str
    picture: str


@dataclass(frozen=True, slots=True)
class ListeningRow:
    """One speaker; a file is None where there is nothing to hear."""

    name: str
    value: str
    files: tuple[HeardFile | None, ...]
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
    files = tuple(None if file is None else _heard(file) for file in row.files)
    monitored = "" if row.monitored is None else f"{row.monitored[0]} {value(row.monitored[1])}"
    return ListeningRow(row.name, monitored, files, row.is_best)


def _heard(file: Path) -> HeardFile:
    sound = file.read_bytes() if file.is_file() else b""
    return HeardFile(quote(file.name), data_url("image/png", mel_picture(sound)))
