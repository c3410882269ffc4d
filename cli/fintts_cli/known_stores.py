"""The directory stores that this machine has used: where each lies, and which one it is.

A disk that is not mounted looks like a store that nobody has written to yet. Whoever opens a folder
here that held a store hears of it instead, and nothing is written below the mount point.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from fintts_store.disk.durable import write_file
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.opening import open_store
from fintts_store.patience import PATIENT
from fintts_store.runs.fields import Name, Place
from fintts_store.runs.records import Record
from fintts_store.store import Marked

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_store.patience import Patience
    from fintts_store.store import Store

MOST_DIGITS = 16


class KnownStore(Record):
    """One of them."""

    address: Place
    marker: Name
    """what its marker says: another store has another"""


class KnownStores:
    """A file for each in a folder of this machine's state, which is made when there is one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, url: str, patience: Patience = PATIENT) -> Store:
        """The store at this address; where another was there before, or this one is gone, whatever
        is asked of it raises StoreUnreachable, which says what to do."""
        store = open_store(url, patience)
        if not isinstance(store, Marked):
            return store
        known = self._read(store.url)
        if known is None:
            self.note(store)
            return store
        hint = f"if it is gone for good, remove {self._path(store.url)}"
        return store.expecting(known.marker, hint)

    def note(self, store: Store) -> None:
        """Remembers it, if it is a folder and there; where nothing can be written, it is not."""
        if not isinstance(store, Marked) or not self._folder.parent.is_dir():
            return
        with suppress(StoreError):
            marker = store.marker()
            if marker is not None and self._read(store.url) is None:
                known = KnownStore(address=store.url, marker=marker)
                write_file(self._path(store.url), known.dump().encode())

    def _read(self, address: str) -> KnownStore | None:
        """None where it is not known, or where what was written is damaged."""
        path = self._path(address)
        try:
            known = KnownStore.load(read_limited(path), str(path))
        except (FileNotFoundError, StoreError):
            return None
        return known if known.address == address else None

    def _path(self, address: str) -> Path:
        return self._folder / f"{sha256(address.encode()).hexdigest()[:MOST_DIGITS]}.json"
