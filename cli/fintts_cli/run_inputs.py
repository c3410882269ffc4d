"""What a run reads, brought into the store once: the packed data set and the base model."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.hub import origin_of
from fintts_cli.views.units import counted, size
from fintts_store import layout
from fintts_store.records import BaseModelRef, DatasetRef, FileRef
from fintts_trainer.base_files import base_model_files
from fintts_trainer.pack import pack_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_store.store import Store
    from fintts_trainer.shape import ModelShape


def upload_dataset(
    store: Store, folder: Path, shape: ModelShape, tell: Callable[[str], None]
) -> DatasetRef:
    """Packs the folder and puts the pack under its digest, unless it is there already.

    Raises:
        DataProblem: the folder cannot be trained on.
        StoreError: the store does not take it.
    """
    with tempfile.TemporaryDirectory(prefix="fintts-pack-") as temporary:
        packed = pack_folder(folder, Path(temporary), shape)
        key = layout.dataset_key(packed.sha256)
        _put_once(store, key, packed.path, counted(packed.utterances, "utterance"), tell)
    return DatasetRef(
        key=key,
        sha256=packed.sha256,
        size_bytes=packed.size_bytes,
        utterances=packed.utterances,
        frames=packed.frames,
    )


def upload_base_model(store: Store, folder: Path, tell: Callable[[str], None]) -> BaseModelRef:
    """Puts the files of a folder that was checked under the digest of all of them, unless they are
    there.

    Raises:
        StoreError: the store does not take them.
    """
    files = tuple(_file_ref(folder / name) for name in base_model_files(folder))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.sha256}\n".encode())
    prefix = layout.base_model_prefix(digest.hexdigest())
    for file in files:
        _put_once(
            store, prefix + file.name, folder / file.name, f"the base model's {file.name}", tell
        )
    origin = origin_of(folder)
    return BaseModelRef(
        prefix=prefix,
        digest=digest.hexdigest(),
        files=files,
        name=origin.repository if origin else folder.resolve().name,
        revision=origin.revision if origin else None,
    )


def _file_ref(path: Path) -> FileRef:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRef(name=path.name, size_bytes=path.stat().st_size, sha256=digest)


def _put_once(store: Store, key: str, source: Path, what: str, tell: Callable[[str], None]) -> None:
    """A key holds all of its bytes or is not there, so the size is enough to know it again."""
    size_bytes = source.stat().st_size
    there = any(entry.key == key and entry.size_bytes == size_bytes for entry in store.list(key))
    if not there:
        tell(f"uploading {what}, {size(size_bytes)}")
        store.put(key, source)
