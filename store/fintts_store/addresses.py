"""Distinguishes store addresses from folder paths, and gives each a single spelling.

A folder's address is its absolute path. Misleading paths are refused: a Windows path, the home of
an unknown user, a space or hidden character at the end.
"""

import os
import re
from pathlib import Path

from fintts_store.errors import StoreDenied
from fintts_store.output.visible import is_visible

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|[^/]*://|(?i:s3|gs|https?|file)//")
"""Two letters at least: `C:` is a drive. A colon that was left out makes no folder."""
_OF_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
HOW = "give s3://BUCKET/PREFIX or a folder; write a folder of that name as ./NAME"


def has_scheme(text: str) -> bool:
    """Whether the text starts like an address, even if malformed; write such a folder as ./NAME."""
    return _SCHEME.match(text) is not None


def is_plain(text: str) -> bool:
    """Whether what is seen of it is all there is: nothing hidden, and no space around."""
    return is_visible(text) and text == text.strip()


def refuse_odd(text: str) -> None:
    """Raises StoreDenied for a misleading or empty text."""
    if not text:
        raise StoreDenied("the store's address is empty", HOW)
    if not is_plain(text):
        raise StoreDenied(
            f"the store's address {text!r} has a space around it or an invisible character",
            "type it again; a line break may come from the file that it was read from",
        )


def folder_of(text: str) -> str:
    """The absolute path of a folder's address, in its single spelling.

    Raises:
        StoreDenied: it may mean another folder than it seems to.
    """
    refuse_odd(text)
    if _OF_WINDOWS.match(text):
        raise StoreDenied(
            f"{text} is a Windows path, and this machine has no such folder",
            f"in WSL the drive C: is /mnt/c; write a folder of that name as ./{text}",
        )
    if text.startswith("~"):
        text = _below_home(text)
    # Only the file system knows what `..` behind a link is.
    whole = os.path.realpath(text) if ".." in Path(text).parts else str(Path(text).absolute())
    whole = f"/{whole.lstrip('/')}"  # POSIX leaves open what `//` at the beginning means
    refuse_odd(whole)
    return whole


def _below_home(text: str) -> str:
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        user = text.partition("/")[0]
        raise StoreDenied(
            f"{text} is not on this machine: it has no home folder {user}",
            f"give the whole path; write a folder of that name as ./{user}",
        ) from None


def as_seen_from(folder: Path, text: str) -> str:
    """A relative folder made absolute; anything else is left for `folder_of` or a store to read."""
    if not text or not is_plain(text) or has_scheme(text) or text.startswith(("/", "~", "\\")):
        return text
    return text if _OF_WINDOWS.match(text) else folder_of(str(folder / text))
