"""Fetches a file from the store to the disk, and verifies it while it streams."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from fintts_store.disk.digest import sha256_of
from fintts_store.disk.errors import explained
from fintts_store.errors import CheckpointCorrupt
from fintts_store.store import Store, ignore_bytes


def fetch(
    store: Store,
    key: str,
    target: Path,
    sha256: str,
    size_bytes: int,
    on_bytes: Callable[[int], None] = ignore_bytes,
) -> None:
    """Fetches a key's bytes into the file `target`, unless they are already there.

    Args:
        size_bytes: the size in run.json; no more is written.
        on_bytes: called with the number of bytes added.

    Raises:
        CheckpointCorrupt: the SHA-256 differs.
        StoreError: the store cannot be read, or the disk cannot be written.
    """
    if target.exists() and sha256_of(target) == sha256:
        return
    digest, left_bytes = hashlib.sha256(), size_bytes
    with explained(target), target.open("wb") as file:
        for chunk in store.stream(key):
            left_bytes -= len(chunk)
            if left_bytes < 0:
                raise _damaged(
                    store, key, f"it is larger than the {size_bytes:,} bytes in run.json"
                )
            digest.update(chunk)
            file.write(chunk)
            on_bytes(len(chunk))
    if digest.hexdigest() != sha256:
        raise _damaged(store, key, "its SHA-256 is not the one in run.json")


def _damaged(store: Store, key: str, why: str) -> CheckpointCorrupt:
    return CheckpointCorrupt(
        f"{key} in {store.url} is damaged: {why}",
        "delete it there and launch again, so that fintts uploads it again",
    )
