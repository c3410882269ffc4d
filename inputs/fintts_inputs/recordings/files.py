"""Lists the recordings below a folder; opens none of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_inputs.data.files import (
    UNSPEAKABLE,
    Problem,
    leads_out,
    nfc,
    shown_name,
    there_twice,
    written_name,
)
from fintts_inputs.errors import DataProblem, FolderMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
UNREAD_AUDIO = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr", ".3gp")
TABLES = (".arrow", ".parquet")
TEXTS = (".lab", ".txt")
"""The first one that is there counts."""
LISTS = (".jsonl", ".csv")


@dataclass(frozen=True, slots=True)
class Recordings:
    """The files below a folder by their relative names, in NFC, sorted.

    Attributes:
        audio: name without suffix → file.
        texts: likewise, of transcripts beside the recordings.
        lists: JSON lines and tables, by their names with suffix.
        problems: files that may hold recordings and were not listed.
    """

    folder: Path
    audio: Mapping[str, Path]
    texts: Mapping[str, Path]
    lists: Mapping[str, Path]
    problems: tuple[Problem, ...]

    def name_of(self, path: Path) -> str:
        """The relative name of a file, in NFC, as it may be shown."""
        return shown_name(nfc(written_name(self.folder, path)))


def list_recordings(folder: Path) -> Recordings:
    """Lists all files below the folder; hidden ones and folders are left out.

    Raises:
        FolderMissing: there is no such folder.
        DataProblem: the folder cannot be opened.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise FolderMissing(f"{folder} {what}", "give the folder of your recordings")
    return _Walk(folder).result()


class _Walk:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._audio: dict[str, Path] = {}
        self._texts: dict[str, Path] = {}
        self._lists: dict[str, Path] = {}
        self._problems: list[Problem] = []

    def result(self) -> Recordings:
        for parent, folders, files in os.walk(self._folder, onerror=self._unopened):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in folders:
                if (path := Path(parent, name)).is_symlink():
                    self._name(path, "is a link to a folder; put the folder here")
            for name in sorted(files):
                self._take(Path(parent, name))
        return Recordings(
            self._folder,
            dict(sorted(self._audio.items())),
            dict(sorted(self._texts.items())),
            dict(sorted(self._lists.items())),
            tuple(self._problems),
        )

    def _unopened(self, error: OSError) -> None:
        if error.filename is None or Path(error.filename) == self._folder:
            raise DataProblem(
                f"{self._folder} cannot be opened: {error.strerror}",
                "give a folder that you may read",
            )
        self._name(Path(error.filename), f"cannot be opened: {error.strerror}")

    def _take(self, path: Path) -> None:
        suffix = path.suffix.lower()
        if suffix not in (*AUDIO, *UNREAD_AUDIO, *TABLES, *TEXTS, *LISTS):
            return
        name = nfc(written_name(self._folder, path))
        if path.name.startswith("."):
            self._name(path, "is hidden, and left out")
        elif UNSPEAKABLE.search(name):
            self._name(path, "has a name that is not UTF-8 or holds control characters; rename it")
        elif fault := leads_out(self._folder, path):
            self._name(path, fault)
        elif suffix in UNREAD_AUDIO:
            self._name(path, f"is {suffix[1:].upper()}, which is not read; convert it to FLAC")
        elif suffix in TABLES:
            said = "is a data set with sound in a table; write it out as an audiofolder of files"
            self._name(path, said)
        else:
            self._file(path, name, suffix)

    def _file(self, path: Path, name: str, suffix: str) -> None:
        stem = name[: -len(suffix)]
        if suffix in LISTS:
            self._lists[name] = path
        elif suffix in AUDIO:
            self._keep(self._audio, stem, path)
        elif stem not in self._texts or self._texts[stem].suffix.lower() == suffix:
            self._keep(self._texts, stem, path)

    def _keep(self, files: dict[str, Path], stem: str, path: Path) -> None:
        """Of two files for one name, neither of which is better, the first one counts."""
        first = files.setdefault(stem, path)
        if first == path:
            return
        if first.suffix == path.suffix:
            self._name(path, there_twice(first, path))
        else:
            self._name(path, f"has the name of {first.name}; remove or rename one")

    def _name(self, path: Path, sentence: str) -> None:
        self._problems.append(Problem(shown_name(written_name(self._folder, path)), sentence))
