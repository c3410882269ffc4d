"""Lists the files of a folder from outside, under names in UTF-8 and NFC.

Locale, file system and editor do not matter: the same folder is the same data everywhere.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_inputs.errors import DataProblem, FolderMissing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""control characters, and bytes of a name that are not UTF-8"""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of one file; `file` is relative to the folder."""

    file: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files to list, and how errors name the folder.

    Attributes:
        suffixes: in lower case; other spellings match too.
        title: such as `the data folder`.
        hint: which folder the user should give.
    """

    suffixes: tuple[str, ...]
    title: str
    hint: str


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The wanted files below a folder; none was opened."""

    files: tuple[tuple[str, Path], ...]
    """relative names in NFC, and paths; sorted. Two files may have one name."""
    problems: tuple[Problem, ...]
    """files and folders that were not listed and may hold data"""
    hidden: tuple[Problem, ...]
    """wanted files whose names start with a dot; hidden folders are not searched"""
    others: tuple[str, ...]
    """names of the visible files that are not wanted"""


def list_files(folder: Path, wanted: Wanted) -> FolderFiles:
    """Lists the wanted files below the folder.

    Raises:
        FolderMissing: the folder does not exist.
        DataProblem: the folder cannot be opened.
    """
    _refuse_no_folder(folder, wanted)
    files: list[tuple[str, Path]] = []
    problems: list[Problem] = []
    hidden: list[Problem] = []
    others: list[str] = []

    def unopened(error: OSError) -> None:
        # An interrupted listing (a disk fault, an ended process in /proc) names no folder.
        if error.filename is None or Path(error.filename) == folder:
            raise _not_opened(folder, wanted, error)
        problems.append(
            problem_of(folder, Path(error.filename), f"cannot be opened: {error.strerror}")
        )

    for parent, folders, names in os.walk(folder, onerror=unopened):
        folders[:] = [name for name in folders if not name.startswith(".")]
        problems += _odd_folders(folder, [Path(parent, name) for name in folders], wanted)
        for path in (Path(parent, name) for name in names):
            name = nfc(written_name(folder, path))
            is_hidden = path.name.startswith(".")
            if not name.lower().endswith(wanted.suffixes):
                others += [] if is_hidden else [name]
            elif is_hidden:
                hidden.append(problem_of(folder, path, "is hidden, so it is not used"))
            elif fault := _wrong_name(name) or _leads_out(folder, path):
                problems.append(problem_of(folder, path, fault))
            else:
                files.append((name, path))
    return FolderFiles(tuple(sorted(files)), tuple(problems), tuple(hidden), tuple(others))


def nfc(text: str) -> str:
    """A text or name in NFC, where an ä is one character."""
    return unicodedata.normalize("NFC", text)


def written_name(folder: Path, path: Path) -> str:
    """The relative name from the file system's bytes, decoded as UTF-8 in every locale."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "surrogateescape")


def refuse_problems(folder: Path, problems: Sequence[Problem]) -> None:
    """Raises DataProblem with the first problems, if there are any."""
    if not problems:
        return
    named = "; ".join(f"{each.file}: {each.sentence}" for each in problems[:3])
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
    raise DataProblem(
        f"{folder} has {count}: {named}{more}",
        f"list all of them with: fintts data check {folder}",
    )


def shown_name(name: str) -> str:
    """The name in a form that is safe for terminals and JSON."""
    return UNSPEAKABLE.sub(lambda found: ascii(found[0])[1:-1], name)


def problem_of(folder: Path, path: Path, sentence: str) -> Problem:
    """A problem of a file below the folder, by its name as written."""
    return Problem(shown_name(nfc(written_name(folder, path))), sentence)


def there_twice(one: Path, other: Path) -> str:
    """The problem of two files that have the same name in NFC."""
    names = (ascii(os.fsencode(path.name).decode("utf-8")) for path in sorted((one, other)))
    return f"exists in two Unicode forms: {' and '.join(names)}; remove or rename one"


def _refuse_no_folder(folder: Path, wanted: Wanted) -> None:
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        what = "does not exist"
    except OSError as error:
        raise _not_opened(folder, wanted, error) from None
    else:
        what = "" if stat.S_ISDIR(mode) else "is not a folder"
    if what:
        raise FolderMissing(f"{wanted.title} {folder} {what}", wanted.hint)


def _not_opened(folder: Path, wanted: Wanted, error: OSError) -> DataProblem:
    return DataProblem(
        f"{wanted.title} {folder} cannot be opened: {error.strerror}",
        f"{wanted.hint} that you can read",
    )


def _odd_folders(folder: Path, found: Iterable[Path], wanted: Wanted) -> list[Problem]:
    """Links to folders, which are not followed, and folders named like a wanted file."""
    problems: list[Problem] = []
    for path in found:
        if path.is_symlink():
            problems.append(problem_of(folder, path, "is a link to a folder; put the folder here"))
        elif path.name.lower().endswith(wanted.suffixes):
            problems.append(problem_of(folder, path, "is a folder, not a file"))
    return problems


def _wrong_name(name: str) -> str:
    if UNSPEAKABLE.search(name):
        return "has a name that is not UTF-8 or has control characters; rename it"
    return ""


def _leads_out(folder: Path, path: Path) -> str:
    """The problem of a link to a file outside the folder; it is not followed."""
    if not path.is_symlink() or path.resolve().is_relative_to(folder.resolve()):
        return ""
    return "is a link out of the folder; put the file here"
