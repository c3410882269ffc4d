"""The files of a data folder: which there are, and what each one holds or why it holds nothing."""

from __future__ import annotations

import io
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_trainer.errors import DataProblem, FolderMissing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CODES, TEXT = ".npy", ".lab"
SUFFIXES = (CODES, TEXT)

LARGEST_CODES_BYTES = 64 * 1024**2
"""ten codebooks of int64 for ten hours"""
LARGEST_TEXT_BYTES = 64 * 1024
"""an hour of speech"""

_UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""control characters, and bytes of a name that is not UTF-8"""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one file; `file` is relative to the folder."""

    file: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below a folder, by relative names; nothing of it was opened."""

    files: tuple[str, ...]
    """the .npy and .lab, sorted"""
    problems: tuple[Problem, ...]
    """what was not listed, though it may hold data"""
    hidden: tuple[Problem, ...]
    """.npy and .lab whose names start with a dot; what lies in hidden folders is not looked for"""
    ignored: int
    """files that are neither .npy nor .lab"""


def list_folder(folder: Path) -> Listing:
    """Lists all files below the folder.

    Raises:
        FolderMissing: there is no such folder.
        DataProblem: it cannot be opened.
    """
    _refuse_no_folder(folder)
    files: list[str] = []
    problems: list[Problem] = []
    hidden: list[Problem] = []
    ignored = 0

    def unopened(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise _not_opened(folder, error)
        name = Path(error.filename).relative_to(folder).as_posix()
        problems.append(Problem(_shown(name), f"cannot be opened: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=unopened):
        above = Path(parent).relative_to(folder).as_posix() + "/"
        above = "" if above == "./" else above
        folders[:] = [name for name in folders if not name.startswith(".")]
        problems += _odd_folders(Path(parent), above, folders)
        for name in names:
            if not name.lower().endswith(SUFFIXES):
                ignored += not name.startswith(".")
            elif name.startswith("."):
                hidden.append(Problem(_shown(above + name), "is hidden, and left out"))
            elif fault := _wrong_name(above + name) or _leads_out(folder, Path(parent, name)):
                problems.append(Problem(_shown(above + name), fault))
            else:
                files.append(above + name)
    return Listing(tuple(sorted(files)), tuple(problems), tuple(hidden), ignored)


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


def _odd_folders(parent: Path, above: str, folders: list[str]) -> list[Problem]:
    links = [name for name in folders if (parent / name).is_symlink()]
    named = [name for name in folders if name.endswith(SUFFIXES)]
    return [
        *(Problem(_shown(above + n), "is a link to a folder; put the folder here") for n in links),
        *(Problem(_shown(above + n), "is a folder, not a file") for n in named),
    ]


def _wrong_name(file: str) -> str:
    if _UNSPEAKABLE.search(file):
        return "has a name that is not UTF-8 or holds control characters; rename it"
    suffix = file[-len(CODES) :]
    return "" if suffix in SUFFIXES else f"ends in {suffix}; rename it to {suffix.lower()}"


def _leads_out(folder: Path, path: Path) -> str:
    """What is wrong with a link to a file that is not in the data folder; it is not followed."""
    if not path.is_symlink() or path.resolve().is_relative_to(folder.resolve()):
        return ""
    return "is a link out of the data folder; put the file here"


def _shown(name: str) -> str:
    """The name as a terminal and JSON can show it."""
    return _UNSPEAKABLE.sub(lambda found: ascii(found[0])[1:-1], name)


def read_text(path: Path) -> tuple[str, str]:
    """(transcript, what is wrong with it); an empty second part means nothing."""
    content, fault = _read(path, LARGEST_TEXT_BYTES)
    if fault:
        return "", fault
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read().strip()
    except UnicodeDecodeError:
        return "", "is not UTF-8"
    if "\0" in text:
        return "", "holds NUL characters, as UTF-16 does; save it as UTF-8"
    spoken = any(character.isprintable() and not character.isspace() for character in text)
    return (text, "") if spoken else ("", "is empty")


def read_codes(path: Path) -> tuple[npt.NDArray[np.int64], str]:
    """(int64 [codebooks, frames], what is wrong with it)."""
    # Here and not above: counting the pairs for an estimate must not wait for NumPy's 0.1 s.
    import numpy as np

    nothing = np.zeros((0, 0), dtype=np.int64)
    content, fault = _read(path, LARGEST_CODES_BYTES)
    if fault:
        return nothing, fault
    stream = io.BytesIO(content)
    try:
        codes = np.load(stream, allow_pickle=False)
    except Exception:  # NumPy reads headers as Python: its tokenizer's errors come through, too
        return nothing, "is not a whole .npy file of numbers"
    if not isinstance(codes, np.ndarray):
        codes.close()
        return nothing, "is an archive, not a .npy file"
    fault = _wrong_array(codes) or ("goes on after its array" if stream.read(1) else "")
    return (nothing, fault) if fault else (codes.astype(np.int64), "")


def _read(path: Path, largest_bytes: int) -> tuple[bytes, str]:
    """(content, what is wrong with it); a pipe or a device is not opened: it might never end."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return b"", "is not a regular file"
        if found.st_size > largest_bytes:
            return b"", f"is too large: {found.st_size:,} bytes, at most {largest_bytes:,} are read"
        return path.read_bytes(), ""
    except OSError as error:
        return b"", f"cannot be read: {error.strerror}"


def _wrong_array(codes: npt.NDArray[np.generic]) -> str:
    import numpy as np

    if codes.dtype.kind not in "iu":
        return f"holds {codes.dtype} instead of integers"
    if codes.ndim != 2:
        return f"has {codes.ndim} dimensions instead of two, [codebooks, frames]"
    if 0 in codes.shape:
        return f"is empty: {list(codes.shape)}"
    if bool(codes.min() < 0):
        return f"holds the negative code {codes.min()}"
    # Without a base model there is no other bound, and a pack holds int32.
    beyond = bool(codes.max() > np.iinfo(np.int32).max)
    return f"holds the code {codes.max()}, which no codebook has" if beyond else ""
