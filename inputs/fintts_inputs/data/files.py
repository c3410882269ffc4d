"""Lists the files of a data folder, and reads each one or says why it cannot be read."""

from __future__ import annotations

import codecs
import io
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.data.codes import parse_codes
from fintts_inputs.folder import Problem, Wanted, list_files, nfc, problem_of, there_twice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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

WANTED = Wanted(SUFFIXES, "the data folder", "set data to a folder of .npy and .lab")


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
    found = list_files(folder, WANTED)
    problems = list(found.problems)
    files: dict[str, Path] = {}
    for name, path in found.files:
        if fault := _fault_of(path, name, files):
            problems.append(problem_of(folder, path, fault))
        else:
            files[name] = path
    ignored = sum(name != RECEIPTS for name in found.others)
    return FolderContent(files, tuple(problems), found.hidden, ignored)


def _fault_of(path: Path, name: str, files: Mapping[str, Path]) -> str:
    """Why a file is not listed; empty if it is."""
    suffix = name[-len(CODES) :]
    if suffix not in SUFFIXES:
        return f"ends in {suffix}; rename it to {suffix.lower()}"
    return there_twice(files[name], path) if name in files else ""


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
        return Transcript(fault="has NUL characters, as in UTF-16; save it as UTF-8")
    if not any(character.isprintable() and not character.isspace() for character in text):
        return Transcript(fault="is empty")
    return Transcript(nfc(text), text, has_mark=content.startswith(codecs.BOM_UTF8))


def _undecodable(content: bytes, error: UnicodeDecodeError) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "is UTF-16, not UTF-8; save it as UTF-8"
    byte, place = content[error.start], error.start + 1
    return f"is not UTF-8: its byte {place} is 0x{byte:02X}; save it as UTF-8"


def read_codes(
    path: Path, largest_bytes: int = LARGEST_CODES_BYTES
) -> tuple[npt.NDArray[np.int64], str]:
    """(int64 [codebooks, frames], what is wrong)."""
    content, fault = _read(path, largest_bytes)
    codes, parse_fault = parse_codes(content)
    return codes, fault or parse_fault


def _read(path: Path, largest_bytes: int) -> tuple[bytes, str]:
    """(content, what is wrong); does not open a pipe or device, which might never end."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return b"", "is not a regular file"
        if found.st_size > largest_bytes:
            return b"", (
                f"is too large: {found.st_size:,} bytes, and the limit is {largest_bytes:,}"
            )
        return path.read_bytes(), ""
    except OSError as error:
        return b"", f"cannot be read: {error.strerror}"


def counted(count: int, thing: str) -> str:
    """`1 problem`, `2,000 problems`"""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
