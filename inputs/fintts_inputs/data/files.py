"""Lists the files of a data folder, and reads each one or says why it cannot be read.

Names and texts are UTF-8 in NFC, whatever the locale, file system or editor: the same folder is the
same data set everywhere.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_inputs.data.codes import parse_codes
from fintts_inputs.errors import DataProblem, FolderMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

CODES, TEXT = ".npy", ".lab"
SUFFIXES = (CODES, TEXT)
RECEIPTS = "data.json"
"""beside pairs that `fintts data encode` wrote"""

LARGEST_CODES_BYTES = 64 * 1024**2
"""ten codebooks of int64 for ten hours"""
LARGEST_TEXT_BYTES = 64 * 1024
"""an hour of speech"""

UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""control characters, and bytes of a name that are not UTF-8"""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of one file; `file` is relative to the folder."""

    file: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of a .lab file; `fault` says why there is none."""

    text: str = ""
    """in NFC"""
    written: str = ""
    """the text as in the file; earlier versions of fintts packed it like this"""
    has_mark: bool = False
    """whether a byte order mark preceded the text; it is left out"""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class FolderContent:
    """The files below a folder, by relative names; none was opened."""

    files: Mapping[str, Path]
    """the .npy and .lab files, sorted by name"""
    problems: tuple[Problem, ...]
    """files and folders that were not listed and may hold data"""
    hidden: tuple[Problem, ...]
    """.npy and .lab files whose names start with a dot; hidden folders are not searched"""
    ignored: int
    """files that are neither .npy nor .lab"""


def list_folder(folder: Path) -> FolderContent:
    """Lists all files below the folder.

    Raises:
        FolderMissing: the folder does not exist.
        DataProblem: the folder cannot be opened.
    """
    _refuse_no_folder(folder)
    files: dict[str, Path] = {}
    problems: list[Problem] = []
    hidden: list[Problem] = []
    ignored = 0

    def unopened(error: OSError) -> None:
        # An interrupted listing (a disk fault, an ended process in /proc) names no folder.
        if error.filename is None or Path(error.filename) == folder:
            raise _not_opened(folder, error)
        name = written_name(folder, Path(error.filename))
        problems.append(Problem(shown_name(name), f"cannot be opened: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=unopened):
        folders[:] = [name for name in folders if not name.startswith(".")]
        problems += _odd_folders(folder, Path(parent), folders)
        for path in (Path(parent, name) for name in names):
            name = nfc(written_name(folder, path))
            if not name.lower().endswith(SUFFIXES):
                ignored += not path.name.startswith(".") and name != RECEIPTS
            elif path.name.startswith("."):
                hidden.append(Problem(shown_name(name), "is hidden, and left out"))
            elif fault := _fault_of(folder, path, name, files):
                problems.append(Problem(shown_name(name), fault))
            else:
                files[name] = path
    return FolderContent(dict(sorted(files.items())), tuple(problems), tuple(hidden), ignored)


def nfc(text: str) -> str:
    """A text or name in NFC, where an ä is one character."""
    return unicodedata.normalize("NFC", text)


def written_name(folder: Path, path: Path) -> str:
    """The relative name from the file system's bytes, decoded as UTF-8 in every locale."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "surrogateescape")


def there_twice(one: Path, other: Path) -> str:
    names = (ascii(os.fsencode(path.name).decode("utf-8")) for path in sorted((one, other)))
    return f"is there twice, in two Unicode forms: {' and '.join(names)}; remove or rename one"


def _refuse_no_folder(folder: Path) -> None:
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        what = "does not exist"
    except OSError as error:
        raise _not_opened(folder, error) from None
    else:
        what = "" if stat.S_ISDIR(mode) else "is not a folder"
    if what:
        raise FolderMissing(
            f"the data folder {folder} {what}", "set data to a folder of .npy and .lab"
        )


def _not_opened(folder: Path, error: OSError) -> DataProblem:
    return DataProblem(
        f"the data folder {folder} cannot be opened: {error.strerror}",
        "set data to a folder of .npy and .lab that you may read",
    )


def _odd_folders(folder: Path, parent: Path, names: list[str]) -> list[Problem]:
    links = [parent / name for name in names if (parent / name).is_symlink()]
    named = [parent / name for name in names if name.endswith(SUFFIXES)]
    said = {
        **dict.fromkeys(named, "is a folder, not a file"),
        **dict.fromkeys(links, "is a link to a folder; put the folder here"),
    }
    return [Problem(shown_name(written_name(folder, path)), what) for path, what in said.items()]


def _fault_of(folder: Path, path: Path, name: str, files: Mapping[str, Path]) -> str:
    """Why a file is not listed; empty if it is."""
    if fault := _wrong_name(name) or leads_out(folder, path):
        return fault
    return there_twice(files[name], path) if name in files else ""


def _wrong_name(file: str) -> str:
    if UNSPEAKABLE.search(file):
        return "has a name that is not UTF-8 or holds control characters; rename it"
    suffix = file[-len(CODES) :]
    return "" if suffix in SUFFIXES else f"ends in {suffix}; rename it to {suffix.lower()}"


def leads_out(folder: Path, path: Path) -> str:
    """The problem of a link to a file outside the data folder; it is not followed."""
    if not path.is_symlink() or path.resolve().is_relative_to(folder.resolve()):
        return ""
    return "is a link out of the data folder; put the file here"


def shown_name(name: str) -> str:
    """The name in a form that is safe for terminals and JSON."""
    return UNSPEAKABLE.sub(lambda found: ascii(found[0])[1:-1], name)


def read_text(path: Path) -> Transcript:
    """A .lab file's content."""
    content, fault = _read(path, LARGEST_TEXT_BYTES)
    if fault:
        return Transcript(fault=fault)
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read().strip()
    except UnicodeDecodeError as error:
        return Transcript(fault=_undecodable(content, error))
    if "\0" in text:
        return Transcript(fault="holds NUL characters, as UTF-16 does; save it as UTF-8")
    if not any(character.isprintable() and not character.isspace() for character in text):
        return Transcript(fault="is empty")
    return Transcript(nfc(text), text, has_mark=content.startswith(codecs.BOM_UTF8))


def _undecodable(content: bytes, error: UnicodeDecodeError) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "is UTF-16, not UTF-8; save it as UTF-8"
    byte, place = content[error.start], error.start + 1
    return f"is not UTF-8: its byte {place} is 0x{byte:02X}; save it as UTF-8"


def read_codes(path: Path) -> tuple[npt.NDArray[np.int64], str]:
    """(int64 [codebooks, frames], what is wrong)."""
    content, fault = _read(path, LARGEST_CODES_BYTES)
    codes, parse_fault = parse_codes(content)
    return codes, fault or parse_fault


def _read(path: Path, largest_bytes: int) -> tuple[bytes, str]:
    """(content, what is wrong); does not open a pipe or device, which might never end."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return b"", "is not a regular file"
        if found.st_size > largest_bytes:
            return b"", f"is too large: {found.st_size:,} bytes, at most {largest_bytes:,} are read"
        return path.read_bytes(), ""
    except OSError as error:
        return b"", f"cannot be read: {error.strerror}"


def counted(count: int, thing: str) -> str:
    """`1 problem`, `2,000 problems`"""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
