"""Compares every byte of checkpoints and inputs with the recorded SHA-256.

It only reads. It reads a file that differs a second time before reporting it, since the damage may
have happened in transit.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable

from fintts_store import layout
from fintts_store.checkpoints.listing import read_manifest
from fintts_store.checkpoints.manifest import Manifest, ManifestFile
from fintts_store.errors import CheckpointCorrupt, KeyNotFound, StoreUnreachable
from fintts_store.network.parallel import in_parallel
from fintts_store.store import Store, ignore_bytes
from fintts_store.upkeep.faults import Fault
from fintts_store.upkeep.inputs import LAUNCH_AGAIN, MISSING, Input, InputFile
from fintts_store.upkeep.survey import damage

ATTEMPTS = 2
DIFFERS = "it differs from run.json"
DELETE_FIRST = f"delete it, then {LAUNCH_AGAIN}"


def read_checkpoint(
    store: Store, manifest: Manifest, on_bytes: Callable[[int], None] = ignore_bytes
) -> Fault | None:
    """Compares a checkpoint with its manifest; None if all is well.

    Args:
        on_bytes: called from several threads with the number of bytes read.

    Raises:
        StoreError: the store cannot be read, also at the second attempt.
    """
    prefix = layout.checkpoint_prefix(manifest.run, manifest.name)

    def check(file: ManifestFile, stop: threading.Event) -> None:
        if not _is_as_written(store, prefix + file.name, file.sha256, on_bytes, stop):
            raise CheckpointCorrupt(f"{file.name} does not match its manifest")

    try:
        in_parallel(check, manifest.files)
    except CheckpointCorrupt as error:
        return damage(manifest.run, manifest.name, error.message)
    except KeyNotFound as error:
        try:
            read_manifest(store, manifest.run, manifest.name)
        except KeyNotFound:  # rotated away in the meantime
            return None
        return damage(manifest.run, manifest.name, error.message)
    return None


def read_inputs(
    store: Store, inputs: Iterable[Input], on_bytes: Callable[[int], None] = ignore_bytes
) -> list[Fault]:
    """Compares the runs' inputs with their records: a few files at a time, each once.

    Args:
        on_bytes: called from several threads with the number of bytes read.

    Raises:
        StoreError: the store cannot be read, also at the second attempt.
    """
    wrong: dict[InputFile, tuple[str, str]] = {}

    def check(file: InputFile, stop: threading.Event) -> None:
        try:
            if not _is_as_written(store, file.key, file.sha256, on_bytes, stop):
                wrong[file] = DIFFERS, DELETE_FIRST
        except KeyNotFound:
            wrong[file] = MISSING, LAUNCH_AGAIN

    named = [*inputs]
    in_parallel(check, dict.fromkeys(file for one in named for file in one.files))
    return [
        one.fault(file.key, *wrong[file]) for one in named for file in one.files if file in wrong
    ]


def _is_as_written(
    store: Store,
    key: str,
    sha256: str,
    on_bytes: Callable[[int], None],
    stop: threading.Event,
) -> bool:
    """Whether the bytes have this SHA-256; True as well if the check was stopped."""
    trouble: StoreUnreachable | None = None
    told_bytes = 0
    for _ in range(ATTEMPTS):
        digest, read_bytes, trouble = hashlib.sha256(), 0, None
        try:
            for chunk in store.stream(key):
                if stop.is_set():
                    return True
                digest.update(chunk)
                read_bytes += len(chunk)
                on_bytes(max(0, read_bytes - told_bytes))
                told_bytes = max(told_bytes, read_bytes)
        except StoreUnreachable as error:
            trouble = error
            continue
        if digest.hexdigest() == sha256:
            return True
    if trouble is not None:
        raise trouble
    return False
