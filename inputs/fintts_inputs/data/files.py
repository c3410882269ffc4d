"""Reads each file of a data folder, or says why it cannot be read."""

from __future__ import annotations

import codecs
import io
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.data.codes import parse_codes
from fintts_inputs.folder import nfc

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt


LARGEST_CODES_BYTES = 64 * 1024**2
"""ten codebooks of int64 for ten hours"""
LARGEST_TEXT_BYTES = 64 * 1024
"""an hour of speech"""


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


def read_text(path: Path, largest_bytes: int = LARGEST_TEXT_BYTES) -> Transcript:
    """The content of a .lab file, or of another text."""
    content, fault = _read(path, largest_bytes)
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
