"""Lists the recordings below a folder; opens none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.errors import DataProblem, InputError
from fintts_inputs.folder import (
    Problem,
    Wanted,
    list_files,
    nfc,
    problem_of,
    shown_name,
    there_twice,
    written_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
UNREAD_AUDIO = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr", ".3gp")
CODES = ".npy"
TABLES = (".arrow", ".parquet")
TEXTS = (".lab", ".txt")
"""the first one found counts"""
LISTS = (".jsonl", ".csv")
TIMED = (".srt", ".vtt")
"""texts with times, by which a recording is cut; the first one found counts"""
WANTED = Wanted(
    (*AUDIO, *UNREAD_AUDIO, *TABLES, *TEXTS, *LISTS, *TIMED),
    "the folder of recordings",
    "give a folder of recordings",
)


WITH_CODES = Wanted((CODES,), "the data folder", "give a folder of pairs or of recordings")


@dataclass(frozen=True, slots=True)
class Recordings:
    """The files below a folder by their relative names, in NFC, sorted.

    Attributes:
        audio: name without suffix → file.
        texts: likewise, of transcripts beside the recordings.
        lists: JSON lines and tables, by their names with suffix.
        timed: texts with times, by the names of their recordings.
        problems: files that may hold recordings and were not listed.
        hidden: files whose names start with a dot, which are not used.
    """

    folder: Path
    audio: Mapping[str, Path]
    texts: Mapping[str, Path]
    lists: Mapping[str, Path]
    timed: Mapping[str, Path]
    problems: tuple[Problem, ...]
    hidden: tuple[Problem, ...]

    def name_of(self, path: Path) -> str:
        """The relative name of a file, in NFC, as it may be shown."""
        return shown_name(nfc(written_name(self.folder, path)))


def list_recordings(folder: Path) -> Recordings:
    """Lists all files below the folder, without hidden ones.

    Raises:
        FolderMissing: the folder does not exist.
        DataProblem: the folder cannot be opened, or has no recordings.
    """
    found = list_files(folder, WANTED)
    sorting = _Sorting(folder, list(found.problems))
    for name, path in found.files:
        sorting.take(path, name)
    if not sorting.audio and not sorting.problems:
        raise DataProblem(
            f"{folder} has no recordings",
            f"give a folder of {', '.join(AUDIO)} with their texts as .txt or .lab",
        )
    return Recordings(
        folder,
        dict(sorted(sorting.audio.items())),
        dict(sorted(sorting.texts.items())),
        dict(sorted(sorting.lists.items())),
        dict(sorted(sorting.timed.items())),
        tuple(sorting.problems),
        found.hidden,
    )


def only_recordings_in(folder: Path) -> Recordings | None:
    """The recordings in a folder without codes; None for any other folder."""
    try:
        if any(path.suffix == CODES for _, path in list_files(folder, WITH_CODES).files):
            return None
        return list_recordings(folder)
    except InputError:
        return None


class _Sorting:
    """Sorts files by what they are."""

    def __init__(self, folder: Path, problems: list[Problem]) -> None:
        self._folder = folder
        self.audio: dict[str, Path] = {}
        self.texts: dict[str, Path] = {}
        self.lists: dict[str, Path] = {}
        self.timed: dict[str, Path] = {}
        self.problems = problems

    def take(self, path: Path, name: str) -> None:
        """Adds a file, or the reason why it cannot be used."""
        suffix = path.suffix.lower()
        stem = name[: -len(suffix)]
        if suffix in UNREAD_AUDIO:
            self._report(path, f"is {suffix[1:].upper()}, which is not supported; convert to FLAC")
        elif suffix in TABLES:
            self._report(path, "is a table with sound in it; export it as an audiofolder of files")
        elif suffix in LISTS:
            self.lists[name] = path
        elif suffix in AUDIO:
            self._keep(self.audio, stem, path)
        elif suffix in TIMED:
            self._keep_text(self.timed, stem, path, TIMED)
        else:
            self._keep_text(self.texts, stem, path, TEXTS)

    def _keep_text(
        self, files: dict[str, Path], stem: str, path: Path, suffixes: tuple[str, ...]
    ) -> None:
        """Keeps the file whose suffix comes first."""
        suffix = path.suffix.lower()
        if stem not in files or files[stem].suffix.lower() == suffix:
            self._keep(files, stem, path)
        elif suffix == suffixes[0]:
            files[stem] = path

    def _keep(self, files: dict[str, Path], stem: str, path: Path) -> None:
        """Keeps the first of two files with one name, neither of which is better."""
        first = files.setdefault(stem, path)
        if first == path:
            return
        if first.suffix == path.suffix:
            self._report(path, there_twice(first, path))
        else:
            self._report(path, f"has the same name as {first.name}; remove or rename one")

    def _report(self, path: Path, sentence: str) -> None:
        self.problems.append(problem_of(self._folder, path, sentence))
