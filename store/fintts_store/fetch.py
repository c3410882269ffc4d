"""One file from the store to the disk, verified while it streams."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from fintts_store.disk.digest import sha256_of
from fintts_store.disk.errors import explained
from fintts_store.errors import CheckpointCorrupt
from fintts_store.store import Store


def _nobody_asks(_size_bytes: int) -> None:
    pass


def fetch(
    store: Store,
    key: str,
    target: Path,
    sha256: str,
    on_bytes: Callable[[int], None] = _nobody_asks,
) -> None:
    """Brings a key's bytes into the file `target`, unless they are there.

    Args:
        on_bytes: is told how many more bytes have come.

    Raises:
        CheckpointCorrupt: the SHA-256 is another one.
        StoreError: the store cannot be read, or the disk cannot be written.
    """
    if target.exists() and sha256_of(target) == sha256:
        return
    digest = hashlib.sha256()
    with explained(target), target.open("wb") as file:
        for chunk in store.stream(key):
            digest.update(chunk)
            file.write(chunk)
            on_bytes(len(chunk))
    if digest.hexdigest() != sha256:
        raise CheckpointCorrupt(
            f"{key} in {store.url} is damaged: its SHA-256 is not the one in run.json",
            "delete it there and launch again, so that it is uploaded anew",
        )
