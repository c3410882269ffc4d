"""Which laptop this is: an id that it made once, and its name."""

from __future__ import annotations

import getpass
import secrets
import socket
from typing import TYPE_CHECKING

from fintts_store.disk.durable import create_file, make_directories, write_file
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.runs.ledger import UNKNOWN_LAPTOP, Laptop

if TYPE_CHECKING:
    from pathlib import Path

FILE = "laptop-id"
LONGEST_HOST = 100
ID_BYTES = 64


def this_laptop(state: Path, *, make: bool = False) -> Laptop:
    """This machine and this state folder.

    Args:
        make: whether it gets an id if it has none; one without an id has asked for nothing.

    Raises:
        StoreError: the folder cannot be written.
    """
    host = _plain(socket.gethostname())
    found = _id_in(state) if make else _read(state / FILE)
    return Laptop(
        id=found or UNKNOWN_LAPTOP.id, host=host or "a laptop without a name", user=_user()
    )


def _user() -> str:
    """Empty where this machine does not know its user: one without a name has a number alone."""
    try:
        return _plain(getpass.getuser())
    except (OSError, KeyError):  # until Python 3.12 the second
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
        if _read(path) is None:  # damaged: this laptop gets a new id, and its launches are others'
            write_file(path, made.encode())
    return _read(path) or made


def _read(path: Path) -> str | None:
    try:
        text = read_limited(path, ID_BYTES).decode("ascii", "replace").strip()
    except (FileNotFoundError, StoreError):
        return None
    return text if len(text) == 32 and set(text) <= set("0123456789abcdef") else None
