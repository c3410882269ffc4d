"""From a store's address to the store."""

from pathlib import Path

from fintts_store.directory import DirectoryStore
from fintts_store.errors import StoreError
from fintts_store.store import Store


def open_store(url: str) -> Store:
    """Opens the store at this address: a directory, which need not exist yet.

    Raises:
        StoreError: the address is of a kind that this version does not know.
    """
    if "://" in url:
        raise StoreError(
            f"this version keeps runs in a directory, not in {url}", "give --store a directory"
        )
    return DirectoryStore(Path(url))
