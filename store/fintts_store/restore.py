"""From the store back to a folder: verified while it streams, and whole or not there at all."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from fintts_store import layout
from fintts_store.commit import list_manifests, sha256_of
from fintts_store.durable import durable_directory
from fintts_store.errors import CheckpointCorrupt, KeyNotFound, StoreError
from fintts_store.manifest import Manifest, ManifestFile
from fintts_store.store import Store

_ATTEMPTS = 2


def restore(store: Store, manifest: Manifest, target: Path) -> None:
    """Puts the checkpoint's files into `target`, in place of what was there.

    Raises:
        CheckpointCorrupt: the bytes are not those of the manifest, at the second attempt too;
            `target` is as it was.
        StoreError: the store cannot be read, or the disk cannot be written.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with durable_directory(target) as folder:
                for file in manifest.files:
                    _fetch(store, manifest, file, folder / file.name)
        except CheckpointCorrupt:
            if attempt == _ATTEMPTS:
                raise
        else:
            return


def restore_newest(
    store: Store,
    run: str,
    target: Path,
    on_skip: Callable[[Manifest, StoreError], None],
) -> Manifest | None:
    """Restores the newest checkpoint that is whole; None if there is none.

    `on_skip` is told of each newer one that is damaged.

    Raises:
        StoreError: the store cannot be read at all.
    """
    for manifest in reversed(list_manifests(store, run)):
        try:
            restore(store, manifest, target)
        except (CheckpointCorrupt, KeyNotFound) as error:
            on_skip(manifest, error)
        else:
            return manifest
    return None


def is_whole(manifest: Manifest, folder: Path) -> bool:
    """Whether a folder holds the checkpoint's files, byte for byte."""
    return all(
        (path := folder / file.name).is_file()
        and path.stat().st_size == file.size_bytes
        and sha256_of(path) == file.sha256
        for file in manifest.files
    )


def _fetch(store: Store, manifest: Manifest, file: ManifestFile, path: Path) -> None:
    digest, size = hashlib.sha256(), 0
    key = layout.checkpoint_prefix(manifest.run, manifest.name) + file.name
    with path.open("wb") as target:
        for chunk in store.stream(key):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    if (size, digest.hexdigest()) != (file.size_bytes, file.sha256):
        raise CheckpointCorrupt(
            f"{file.name} of step {manifest.step} differs from what its manifest says",
            "an older checkpoint is used where there is one",
        )
