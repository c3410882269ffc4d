"""fintts_export.json: what an exported folder was made from, and which files make it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.checkpoints.export_format import Format
from fintts_cli.errors import UsageProblem
from fintts_inputs.file_refs import file_ref
from fintts_store.disk.digest import sha256_of
from fintts_store.disk.errors import explained
from fintts_store.disk.reading import read_limited
from fintts_store.errors import InvalidRecord
from fintts_store.runs.record import Record
from fintts_store.runs.run_record import FileRef

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.runs.run_record import RunRecord

FILE = "fintts_export.json"


class Origin(Record):
    """Where an export came from; two exports with equal origins are the same."""

    run: str
    step: int
    claim: int
    checkpoint: str
    format: Format
    base_model: str
    base_model_digest: str
    prompt: str | None = None
    """the prompt it was trained with; None if its run did not record one"""

    @classmethod
    def of(cls, record: RunRecord, manifest: Manifest, wanted: Format) -> Origin:
        """The origin of one checkpoint in one format."""
        return cls(
            run=record.run,
            step=manifest.step,
            claim=manifest.claim,
            checkpoint=manifest.id,
            format=wanted,
            base_model=record.base_model.name,
            base_model_digest=record.base_model.digest,
            prompt=record.prompt,
        )


class ExportRecord(Record):
    """An exported folder."""

    origin: Origin
    licence: str
    files: tuple[FileRef, ...]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


def describe(folder: Path, origin: Origin, licence: str) -> ExportRecord:
    """Makes the record of a filled folder, and writes it there."""
    files = tuple(file_ref(path) for path in sorted(folder.iterdir()))
    record = ExportRecord(origin=origin, licence=licence, files=files)
    (folder / FILE).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return record


def find(target: Path, origin: Origin) -> ExportRecord | None:
    """The same export, if the folder already holds all of it; None if there is no such folder.

    Raises:
        UsageProblem: the folder holds something else, which is not overwritten.
        StoreError: the folder cannot be read.
    """
    with explained(target):
        if not target.exists() or (target.is_dir() and not any(target.iterdir())):
            return None
    found = _read(target / FILE) if target.is_dir() else None
    if found is not None and found.origin == origin and is_whole(target, found.files):
        return found
    raise UsageProblem(
        f"{target} exists and is not this export of run {origin.run}, step {origin.step}",
        "choose another folder with --to, or move this one away",
    )


def differing(folder: Path, files: tuple[FileRef, ...]) -> list[str]:
    """The names of files that are missing from the folder or differ."""
    return [file.name for file in files if not _is_same(folder / file.name, file)]


def is_whole(folder: Path, files: tuple[FileRef, ...]) -> bool:
    """Whether the folder holds all files, byte for byte."""
    return not differing(folder, files)


def _is_same(path: Path, file: FileRef) -> bool:
    return (
        path.is_file() and path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256
    )


def _read(path: Path) -> ExportRecord | None:
    try:
        return ExportRecord.load(read_limited(path), str(path))
    except (OSError, InvalidRecord):
        return None
