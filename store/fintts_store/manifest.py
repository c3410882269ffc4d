"""The manifest of a checkpoint: which files, how long, with which SHA-256. It is the commit."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from fintts_store.errors import InvalidRecord
from fintts_store.layout import CommitName
from fintts_store.records import Record
from fintts_store.store import is_relative_name

VERSION = 1


def _plain_name(name: str) -> str:
    if "/" in name or not is_relative_name(name):
        raise ValueError(f"{name!r} is not the name of a file in a checkpoint")
    return name


class ManifestFile(Record):
    """One file of a checkpoint."""

    name: Annotated[str, AfterValidator(_plain_name)]
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(Record):
    """A committed checkpoint."""

    version: int = VERSION
    run: str
    claim: int
    step: int
    id: str
    created_at: AwareDatetime
    config_digest: str
    base_model_digest: str
    monitor: str
    mode: Literal["min", "max"]
    value: float | None = None
    """of the monitor at this very step; None if it was not validated"""
    files: tuple[ManifestFile, ...]

    @property
    def name(self) -> CommitName:
        """Its place in the store."""
        return CommitName(self.claim, self.step, self.id)

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


class Tombstone(Record):
    """What lies at a commit's key when the checkpoint was given up: nobody may commit it now."""

    tombstone: Literal[True] = True
    by_claim: int


def load_commit(text: bytes, source: str) -> Manifest | None:
    """The manifest at a commit's key; None if a tombstone lies there.

    Raises:
        InvalidRecord: it is damaged, or of a newer version than this program.
    """
    if b'"tombstone":true' in text:
        return None
    manifest = Manifest.load(text, source)
    if manifest.version > VERSION:
        raise InvalidRecord(
            f"{source} has version {manifest.version}, this program knows {VERSION}",
            "update fintts",
        )
    return manifest
