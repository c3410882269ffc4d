"""Identifies this laptop: an id that it generated once, and its name."""

from __future__ import annotations

import getpass
import secrets
import socket
from typing import TYPE_CHECKING

from fintts_store.disk.durable import create_file, make_directories, write_file
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.runs.laptop import UNKNOWN_LAPTOP, Laptop

if TYPE_CHECKING:
    from pathlib import Path

FILE = "laptop-id"
LONGEST_HOST = 100
ID_BYTES = 64


def this_laptop(state: Path, *, make: bool = False) -> Laptop:
    """The identity of this machine and state folder.

    Args:
        make: whether to generate an id if there is none; a machine without an id has requested
            nothing.

    Raises:
        StoreError: the folder cannot be written.
    """
    host = _plain(socket.gethostname())
    found = _id_in(state) if make else _read(state / FILE)
    return Laptop(id=found or UNKNOWN_LAPTOP.id, host=host or "an unnamed laptop", user=_user())


def _user() -> str:
    """The user's name; empty if this machine knows only a user number."""
    try:
        return _plain(getpass.getuser())
    except (OSError, KeyError):  # Python before 3.13 raises KeyError
        return ""


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:LONGEST_HOST])


def _id_in(state: Path) -> str:
    path = state / FILE
    found = _read(path)
    if found is not None:
        return found
    make_directories(state)
    made = secrets.token_hex(16)
    try:
        create_file(path, made.encode())
    except FileExistsError:
        if _read(path) is None:  # damaged: this laptop gets a new id, and owns no earlier launch
            write_file(path, made.encode())
    return _read(path) or made


def _read(path: Path) -> str | None:
    try:
        text = read_limited(path, ID_BYTES).decode("ascii", "replace").strip()
    except (FileNotFoundError, StoreError):
        return None
    return text if len(text) == 32 and set(text) <= set("0123456789abcdef") else None
