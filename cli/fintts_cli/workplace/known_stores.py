"""The directory stores that this machine has used: their places and identities.

An unmounted disk looks like a store that was never written. Opening a folder that once held a store
therefore raises an error, and nothing is written below the mount point.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from fintts_store.disk.durable import write_file
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.network.patience import PATIENT
from fintts_store.opening import open_store
from fintts_store.runs.fields import Name, Place
from fintts_store.runs.record import Record
from fintts_store.store import Marked

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_store.network.patience import Patience
    from fintts_store.store import Store

MOST_DIGITS = 16


class KnownStore(Record):
    """One known store."""

    address: Place
    marker: Name
    """the content of its marker, different for each store"""


class KnownStores:
    """One file per store in a folder of this machine's state; the folder is created when needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, url: str, patience: Patience = PATIENT) -> Store:
        """The store at this address. If it was replaced by another store or is gone, every
        operation raises StoreUnreachable, which says what to do."""
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
        """Remembers the store if it is an existing folder; does nothing if the state folder cannot
        be written."""
        if not isinstance(store, Marked) or not self._folder.parent.is_dir():
            return
        with suppress(StoreError):
            marker = store.marker()
            if marker is not None and self._read(store.url) is None:
                known = KnownStore(address=store.url, marker=marker)
                write_file(self._path(store.url), known.dump().encode())

    def _read(self, address: str) -> KnownStore | None:
        """The known store; None if it is unknown or its file is damaged."""
        path = self._path(address)
        try:
            known = KnownStore.load(read_limited(path), str(path))
        except (FileNotFoundError, StoreError):
            return None
        return known if known.address == address else None

    def _path(self, address: str) -> Path:
        return self._folder / f"{sha256(address.encode()).hexdigest()[:MOST_DIGITS]}.json"
