"""The manifest of a checkpoint: its files with sizes and SHA-256. Writing it is the commit.

It verifies the files, and its own SHA-256 at the end verifies it: a changed `value` would make
another checkpoint the best. A manifest of an earlier version has no SHA-256 of its own, and is
valid.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fintts_store.errors import InvalidRecord, NewerRecord
from fintts_store.file_names import odd_in_checkpoint
from fintts_store.layout import CommitName
from fintts_store.runs import limits
from fintts_store.runs.fields import Claim, Moment, Name, PlainName, SizeBytes, Step, Value
from fintts_store.runs.record import OfRun, Record

VERSION = 1
_SEALED = re.compile(rb'(.*),"self_sha256":"([0-9a-f]{64})"\}\s*', re.DOTALL)


class ManifestFile(Record):
    """One file of a checkpoint."""

    name: PlainName
    size_bytes: SizeBytes
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _of_a_checkpoint(files: tuple[ManifestFile, ...]) -> tuple[ManifestFile, ...]:
    odd = odd_in_checkpoint(file.name for file in files)
    if odd:
        raise ValueError(f"{odd[0]!r} is not the name of a checkpoint file")
    if len({file.name for file in files}) != len(files):
        raise ValueError("a file is named twice")
    return files


class Manifest(OfRun):
    """A committed checkpoint."""

    version: int = VERSION
    claim: Claim
    step: Step
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    created_at: Moment
    config_digest: Name
    base_model_digest: Name
    monitor: Name
    mode: Literal["min", "max"]
    value: Value = None
    """of the monitor at this step; None without a validation check"""
    files: Annotated[
        tuple[ManifestFile, ...],
        Field(min_length=1, max_length=limits.FILES),
        AfterValidator(_of_a_checkpoint),
    ]

    def dump(self) -> str:
        """One line of JSON that ends with the SHA-256 of the rest."""
        text = self.model_dump_json()
        return f'{text[:-1]},"self_sha256":"{_sha256(text.encode())}"}}'

    @property
    def name(self) -> CommitName:
        """The commit's name in the store."""
        return CommitName(self.claim, self.step, self.id)

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


def largest_first(files: Iterable[ManifestFile]) -> list[ManifestFile]:
    """The order for parallel transfers: the longest does not start last."""
    return sorted(files, key=lambda file: -file.size_bytes)


def of_another_base_model(manifest: Manifest) -> InvalidRecord:
    """The error for a checkpoint with another base model than run.json's."""
    return InvalidRecord(
        f"the manifest of step {manifest.step} names another base model than run.json of run "
        f"{manifest.run}",
        "it was changed or put there by hand; remove it, or use an older one",
    )


class Tombstone(Record):
    """A marker at the commit's key of an abandoned checkpoint, which blocks a later commit."""

    tombstone: Literal[True] = True
    by_claim: int


class _Kind(Record):
    """The part of a commit that says how to read the rest."""

    version: int = VERSION
    tombstone: bool = False


def load_commit(text: bytes, source: str) -> Manifest | None:
    """The manifest at a commit's key; None for a tombstone.

    Raises:
        NewerRecord: a newer version of this program wrote it.
        InvalidRecord: it is damaged.
    """
    kind = _Kind.load(text, source)
    if kind.version > VERSION:
        raise NewerRecord(
            f"{source} has version {kind.version}, but this program supports {VERSION}",
            "update fintts",
        )
    if kind.tombstone:
        return None
    manifest = Manifest.load(text, source)
    if b'"self_sha256"' in text and not _is_as_written(text):
        raise InvalidRecord(
            f"{source} was changed: its own SHA-256 differs",
            "it was damaged or changed by hand; delete it, or use an older checkpoint",
        )
    return manifest


def _is_as_written(text: bytes) -> bool:
    sealed = _SEALED.fullmatch(text)
    return sealed is not None and _sha256(sealed[1] + b"}") == sealed[2].decode()


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
