"""Restores a checkpoint from the store to a folder: verified while it streams, and all or nothing.

An interrupted attempt leaves its bytes beside the folder, under a name that only this checkpoint
uses, and the next attempt continues from there.
"""

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from fintts_store import layout
from fintts_store.checkpoints.listing import list_commits, read_manifest
from fintts_store.checkpoints.manifest import Manifest, ManifestFile, largest_first
from fintts_store.disk.digest import sha256_of
from fintts_store.disk.durable import EarlyWriteBack, discard, resumable_directory
from fintts_store.errors import (
    CheckpointCorrupt,
    InvalidKey,
    InvalidRecord,
    KeyNotFound,
    NewerRecord,
    RotatedAway,
    StoreError,
    StoreFull,
    StoreUnreachable,
)
from fintts_store.layout import CommitName
from fintts_store.network.parallel import in_parallel
from fintts_store.runs.limits import CLAIMS
from fintts_store.store import TEMPORARY_PREFIX, Store, ignore_bytes

_ATTEMPTS = 2
_REPLACED = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}[0-9a-f]{{8}}-checkpoint-[0-9]+")


def restore(
    store: Store,
    manifest: Manifest,
    target: Path,
    on_bytes: Callable[[int], None] = ignore_bytes,
) -> None:
    """Replaces the contents of `target` with the checkpoint's files.

    Args:
        on_bytes: called from several threads with the number of new bytes, including those of
            an earlier attempt; negative when a file is fetched again.

    Raises:
        CheckpointCorrupt: the bytes differ from the manifest, also at the second attempt;
            `target` is unchanged.
        RotatedAway: the checkpoint was removed.
        StoreError: the store cannot be read, also at the second attempt, or the disk cannot be
            written.
    """
    partial = target.with_name(partial_name(manifest.name))
    try:
        _restore(store, manifest, target, partial, on_bytes)
    except (KeyNotFound, StoreFull) as error:  # it is no longer needed, or its space is
        discard(partial)
        if isinstance(error, KeyNotFound):
            _refuse_if_rotated_away(store, manifest)
        raise


def _restore(
    store: Store,
    manifest: Manifest,
    target: Path,
    partial: Path,
    on_bytes: Callable[[int], None],
) -> None:
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            with resumable_directory(target, partial) as folder:
                _fetch_all(store, manifest, folder, on_bytes)
        except (StoreUnreachable, CheckpointCorrupt, KeyNotFound) as error:
            if attempts_left and not _is_gone(store, manifest, error):
                continue
            if isinstance(error, CheckpointCorrupt):
                discard(partial)
            raise
        return


def _is_gone(store: Store, manifest: Manifest, error: StoreError) -> bool:
    """Whether a file is missing because the checkpoint was rotated away."""
    return isinstance(error, KeyNotFound) and not _is_committed(store, manifest)


def _refuse_if_rotated_away(store: Store, manifest: Manifest) -> None:
    if not _is_committed(store, manifest):
        raise RotatedAway(
            f"step {manifest.step} was rotated away during the download",
            "run the same command again to get its successor; the best one is always kept",
        )


def _is_committed(store: Store, manifest: Manifest) -> bool:
    try:
        return read_manifest(store, manifest.run, manifest.name) is not None
    except KeyNotFound:
        return False


def partial_name(name: CommitName) -> str:
    """The name of the folder that holds a checkpoint until it is complete."""
    return f"{TEMPORARY_PREFIX}{name.text}"


def discard_partial(folder: Path, wanted: Iterable[CommitName]) -> None:
    """Removes what attempts left in a folder of restored checkpoints, except for those `wanted`;
    leaves alone what others may have put there."""
    stay = {partial_name(name) for name in wanted}
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        is_ours = _is_partial(path.name) and path.is_dir() and not path.is_symlink()
        if is_ours and path.name not in stay:
            discard(path)


def _is_partial(name: str) -> bool:
    """Whether a folder has the name of an incomplete or a replaced checkpoint."""
    try:
        layout.parse_commit_name(f"{name.removeprefix(TEMPORARY_PREFIX)}.json")
    except InvalidKey:
        return _REPLACED.fullmatch(name) is not None
    return True


def restore_newest(
    store: Store,
    run: str,
    target: Path,
    on_skip: Callable[[CommitName, StoreError], None],
    *,
    claim: int = CLAIMS,
    on_bytes: Callable[[int], None] = ignore_bytes,
) -> Manifest | None:
    """Restores the newest complete checkpoint; None if there is none.

    Args:
        on_skip: called for each newer one with a damaged file or manifest.
        claim: the highest claim taken; commits of a higher one are left out.
        on_bytes: as in `restore`.

    Raises:
        NewerRecord: a newer version of this program wrote the newest; it is sound, so no older
            one is restored instead.
        StoreError: the store cannot be read.
    """
    tried: set[CommitName] = set()
    # Lists again after each failure: a slow instance of a lower claim may have just replaced the
    # checkpoint with a newer one.
    while (name := _newest_untried(store, run, tried, claim)) is not None:
        tried.add(name)
        try:
            manifest = _restore_named(store, run, name, target, on_bytes)
            if manifest is not None:
                return manifest
        except NewerRecord:
            raise
        except (CheckpointCorrupt, InvalidRecord, KeyNotFound) as error:
            on_skip(name, error)
    return None


def _restore_named(
    store: Store, run: str, name: CommitName, target: Path, on_bytes: Callable[[int], None]
) -> Manifest | None:
    """Restores a checkpoint; if the first try fails, reads the manifest again, which may have been
    damaged in transit. None for a tombstone."""
    manifest = read_manifest(store, run, name)
    try:
        return _restored(store, manifest, target, on_bytes)
    except (CheckpointCorrupt, KeyNotFound):
        again = read_manifest(store, run, name)
        if again == manifest:
            raise
        return _restored(store, again, target, on_bytes)


def _restored(
    store: Store, manifest: Manifest | None, target: Path, on_bytes: Callable[[int], None]
) -> Manifest | None:
    if manifest is not None:
        restore(store, manifest, target, on_bytes)
    return manifest


def _newest_untried(
    store: Store, run: str, tried: set[CommitName], claim: int
) -> CommitName | None:
    names = [n for n in list_commits(store, run) if n not in tried and n.claim <= claim]
    return names[-1] if names else None


def is_whole(manifest: Manifest, folder: Path) -> bool:
    """Whether a folder holds exactly the checkpoint's bytes."""
    return all(
        (path := folder / file.name).is_file()
        and path.stat().st_size == file.size_bytes
        and sha256_of(path) == file.sha256
        for file in manifest.files
    )


def _refuse_wrong_sizes(store: Store, manifest: Manifest) -> None:
    """Compares the listed sizes with the manifest before fetching anything.

    Skips a file that is not listed: reading it will say why it is missing.
    """
    prefix = layout.checkpoint_prefix(manifest.run, manifest.name)
    listed = {entry.key.removeprefix(prefix): entry.size_bytes for entry in store.list(prefix)}
    for file in manifest.files:
        size_bytes = listed.get(file.name, file.size_bytes)
        if size_bytes != file.size_bytes:
            raise CheckpointCorrupt(
                f"{file.name} of step {manifest.step} has {size_bytes:,} bytes, but its manifest "
                f"says {file.size_bytes:,}",
                "an older checkpoint is used if there is one",
            )


def _fetch_all(
    store: Store, manifest: Manifest, folder: Path, on_bytes: Callable[[int], None]
) -> None:
    _refuse_wrong_sizes(store, manifest)
    came: list[int] = []

    def told(size_bytes: int) -> None:
        came.append(size_bytes)
        on_bytes(size_bytes)

    def fetch(file: ManifestFile, stop: threading.Event) -> None:
        _fetch(store, manifest, file, folder / file.name, told, stop)

    try:
        in_parallel(fetch, largest_first(manifest.files))
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
    key = layout.checkpoint_prefix(manifest.run, manifest.name) + file.name
    if _can_be_no_part(path, file):
        path.unlink()
    is_right = _append(store, key, file, path, on_bytes, stop)
    if not is_right and not stop.is_set():
        path.unlink()  # an earlier attempt's part may be wrong: the next attempt starts over
        raise CheckpointCorrupt(
            f"{file.name} of step {manifest.step} does not match its manifest",
            "an older checkpoint is used if there is one",
        )


def _can_be_no_part(path: Path, file: ManifestFile) -> bool:
    """Whether the path holds something that no earlier attempt can have left."""
    if path.is_symlink():
        return True
    return path.exists() and path.stat().st_size > file.size_bytes


def _append(
    store: Store,
    key: str,
    file: ManifestFile,
    path: Path,
    on_bytes: Callable[[int], None],
    stop: threading.Event,
) -> bool:
    """Appends the missing bytes; returns whether the file then matches the manifest."""
    with path.open("a+b") as target:
        target.seek(0)
        digest = hashlib.file_digest(target, "sha256")
        size = target.tell()
        on_bytes(size)
        if size < file.size_bytes or not size:  # reading an empty one shows that it exists
            disk = EarlyWriteBack(target)
            for chunk in store.stream(key, size):
                digest.update(chunk)
                size += len(chunk)
                if size > file.size_bytes:  # read no more of a wrong object than the right size
                    break
                disk.write(chunk)
                on_bytes(len(chunk))
                if stop.is_set():  # another file has failed, and with it the whole folder
                    return False
        # Overlaps with the other transfers; at the end it would run alone.
        target.flush()
        os.fsync(target.fileno())
    return (size, digest.hexdigest()) == (file.size_bytes, file.sha256)
