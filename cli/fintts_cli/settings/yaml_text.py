"""Reads the text of a configuration file, with one sentence for each reason why it cannot."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from fintts_cli.errors import ConfigError
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.runs.limits import SETTINGS_BYTES

if TYPE_CHECKING:
    from pathlib import Path

UTF_8 = "save it as plain text in UTF-8"
OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""byte order marks; UTF-32's come first, since one of them starts like UTF-16's"""


def read_text(path: Path) -> str:
    """The file's text, without a byte order mark of UTF-8.

    Raises:
        ConfigError: the file is missing, too large, not a regular file, or not text in UTF-8.
    """
    content = _read(path)
    for mark, encoding in OTHER_MARKS.items():
        if content.startswith(mark):
            raise ConfigError(f"{path} is text in {encoding}", UTF_8)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path} cannot be read: byte 0x{content[error.start]:02x} in line {line} is not "
            "UTF-8 (in Latin-1 it would be a letter)",
            UTF_8,
        ) from None


def _read(path: Path) -> bytes:
    try:
        if path.is_file() and path.stat().st_size > SETTINGS_BYTES:
            raise ConfigError(
                f"{path} has {path.stat().st_size:,} bytes; a configuration has at most "
                f"{SETTINGS_BYTES:,}",
                "`--config` names another file",
            )
        return read_limited(path, SETTINGS_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            f"the configuration file {path} does not exist",
            "`fintts init` writes one; --config names another",
        ) from None
    except StoreError as error:
        raise ConfigError(error.message, "give --config a text file in UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{path} cannot be read: {reason}", "give --config a text file in UTF-8"
        ) from None
