"""From the store back to a folder: verified while it streams, and whole or not there at all."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from fintts_store import layout
from fintts_store.commit import list_commits, read_manifest, sha256_of
from fintts_store.durable import durable_directory
from fintts_store.errors import (
    CheckpointCorrupt,
    InvalidRecord,
    KeyNotFound,
    NewerRecord,
    StoreError,
    StoreUnreachable,
)
from fintts_store.layout import CommitName
from fintts_store.manifest import Manifest, ManifestFile
from fintts_store.parallel import in_parallel
from fintts_store.store import Store

_ATTEMPTS = 2


def _nobody_asks(_size_bytes: int) -> None:
    pass


def restore(
    store: Store,
    manifest: Manifest,
    target: Path,
    on_bytes: Callable[[int], None] = _nobody_asks,
) -> None:
    """Puts the checkpoint's files into `target`, in place of what was there.

    Args:
        on_bytes: is told how many more bytes have come, from several threads; fewer than none when
            a file is fetched again.

    Raises:
        CheckpointCorrupt: the bytes are not those of the manifest, at the second attempt too;
            `target` is as it was.
        StoreError: the store cannot be read, at the second attempt too, or the disk cannot be
            written.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with durable_directory(target) as folder:
                _fetch_all(store, manifest, folder, on_bytes)
        except (CheckpointCorrupt, StoreUnreachable):
            if attempt == _ATTEMPTS:
                raise
        else:
            return


def restore_newest(
    store: Store,
    run: str,
    target: Path,
    on_skip: Callable[[CommitName, StoreError], None],
) -> Manifest | None:
    """Restores the newest checkpoint that is whole; None if there is none.

    `on_skip` is told of each newer one that is damaged, be it a file or the manifest.

    Raises:
        NewerRecord: the newest was written by a newer version of this program; it is sound, so
            none is restored in its place.
        StoreError: the store cannot be read at all.
    """
    tried: set[CommitName] = set()
    # Listed again after each failure: a slow instance of a lower claim may just have rotated it
    # away for a newer one.
    while (name := _newest_untried(store, run, tried)) is not None:
        tried.add(name)
        try:
            manifest = read_manifest(store, run, name)
            if manifest is not None:
                restore(store, manifest, target)
                return manifest
        except NewerRecord:
            raise
        except (CheckpointCorrupt, InvalidRecord, KeyNotFound) as error:
            on_skip(name, error)
    return None


def _newest_untried(store: Store, run: str, tried: set[CommitName]) -> CommitName | None:
    names = [name for name in list_commits(store, run) if name not in tried]
    return names[-1] if names else None


def is_whole(manifest: Manifest, folder: Path) -> bool:
    """Whether a folder holds the checkpoint's files, byte for byte."""
    return all(
        (path := folder / file.name).is_file()
        and path.stat().st_size == file.size_bytes
        and sha256_of(path) == file.sha256
        for file in manifest.files
    )


def _fetch_all(
    store: Store, manifest: Manifest, folder: Path, on_bytes: Callable[[int], None]
) -> None:
    came: list[int] = []

    def told(size_bytes: int) -> None:
        came.append(size_bytes)
        on_bytes(size_bytes)

    def fetch(file: ManifestFile, stop: threading.Event) -> None:
        _fetch(store, manifest, file, folder / file.name, told, stop)

    try:
        in_parallel(fetch, manifest.files)
    except BaseException:
        on_bytes(-sum(came))
        raise


def _fetch(
    store: Store,
    manifest: Manifest,
    file: ManifestFile,
    path: Path,
    on_bytes: Callable[[int], None],
    stop: threading.Event,
) -> None:
    digest, size = hashlib.sha256(), 0
    key = layout.checkpoint_prefix(manifest.run, manifest.name) + file.name
    with path.open("wb") as target:
        for chunk in store.stream(key):
            digest.update(chunk)
            size += len(chunk)
            if size > file.size_bytes:  # no more of a wrong object than a right one would need
                break
            target.write(chunk)
            on_bytes(len(chunk))
            if stop.is_set():  # another file has failed, and the whole folder with it
                return
    if (size, digest.hexdigest()) != (file.size_bytes, file.sha256):
        raise CheckpointCorrupt(
            f"{file.name} of step {manifest.step} differs from what its manifest says",
            "an older checkpoint is used where there is one",
        )
