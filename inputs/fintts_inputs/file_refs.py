"""Files by name, size and SHA-256, as a run's record names them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fintts_store.disk.digest import sha256_of
from fintts_store.runs.run_record import FileRef

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def file_ref(path: Path) -> FileRef:
    """Reads the whole file."""
    return FileRef(name=path.name, size_bytes=path.stat().st_size, sha256=sha256_of(path))


def digest_of(files: Iterable[FileRef]) -> str:
    """One SHA-256 over the names and contents of the files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.sha256}\n".encode())
    return digest.hexdigest()
