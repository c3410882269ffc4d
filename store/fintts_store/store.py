"""The Store Protocol: what every store does, as the contract tests check it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from fintts_store.errors import InvalidKey, InvalidRecord, StoreError
from fintts_store.runs.limits import RECORD_BYTES

CHUNK_BYTES = 256 * 1024
"""Linux puts larger writes into larger pages, and on a virtual machine it took the kernel twice as
long to fill those of 1 MB: 5.0 s for 1 GB from S3 instead of 2.7 (a trial with
benchmarks/store.py's 1 GB)"""
TEMPORARY_PREFIX = ".tmp-"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key, and how many bytes lie under it."""

    key: str
    size_bytes: int


# Inside the Protocol `list` is the method, so the type needs a name of its own.
Entries: TypeAlias = list[Entry]
Names: TypeAlias = list[str]


def spare_none(_key: str) -> bool:
    """Spares no key."""
    return False


def ignore_bytes(_size_bytes: int) -> None:
    """Ignores the progress of a transfer."""


class Store(Protocol):
    """Bytes under keys. Every method raises a StoreError, and nothing else, when it fails.

    A key is a relative path with `/` between its parts (see check_key). A reader sees a key
    with all of its bytes or not at all. Every later call of every process sees what a call has
    written.
    """

    @property
    def url(self) -> str:
        """The text for which open_store opens this store again."""
        ...

    def put(self, key: str, source: bytes | Path) -> None:
        """Writes the bytes, or those of the file `source`, and replaces what was there."""
        ...

    def create(self, key: str, data: bytes) -> None:
        """Writes the key if it does not exist; exactly one of concurrent calls succeeds.

        Raises KeyExists for the others, whatever the bytes.
        """
        ...

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        """All bytes of a key. Not more than `limit_bytes`, and a chunk, are read into memory.

        Raises:
            KeyNotFound: the key does not exist.
            InvalidRecord: it has more than `limit_bytes`.
        """
        ...

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of a key in chunks of at most CHUNK_BYTES; errors come while iterating.

        `start`: how many bytes to leave out at the beginning; if there are no more, none come.
        """
        ...

    def list(self, prefix: str) -> Entries:
        """All keys that start with the text `prefix`, at any depth, sorted."""
        ...

    def folders(self, prefix: str) -> Names:
        """The parts that follow `prefix` and are followed by `/`, sorted, each of them once.

        With the keys `a/x/1` and `a/y/2`, `folders("a/")` is `["x", "y"]`. `prefix` is empty or
        ends with `/`.
        """
        ...

    def delete(self, key: str) -> None:
        """Removes the key; a missing key counts as removed."""
        ...

    def unfinished(self, prefix: str) -> Names:
        """The keys with this prefix and an unfinished write, sorted.

        The write may be in progress, or its process was killed. A key appears once per write.
        """
        ...

    def discard_unfinished(self, prefix: str, spare: Callable[[str], bool] = spare_none) -> None:
        """Frees what killed writes to keys with this prefix left behind.

        Leaves keys for which `spare` is true alone. A write in progress to any other such key may
        fail.
        """
        ...


@runtime_checkable
class Marked(Protocol):
    """A store whose address may come to mean another one, like a mount point without its disk.

    A marker in it identifies the store.
    """

    def marker(self) -> str | None:
        """The marker; None if there is none."""
        ...

    def expecting(self, marker: str, hint: str) -> Store:
        """The store of this address that is used with this marker alone.

        Args:
            hint: what to do where the store with that marker is not to come back.
        """
        ...


def read_all(chunks: Iterator[bytes], limit_bytes: int, source: str) -> bytes:
    """The chunks in one piece.

    Raises:
        InvalidRecord: there are more than `limit_bytes`; what is beyond them is not read.
    """
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > limit_bytes:
            raise too_large(source, limit_bytes)
    return bytes(content)


def too_large(source: str, limit_bytes: int) -> InvalidRecord:
    """The error for a file larger than its limit."""
    return InvalidRecord(
        f"{source} has more than {limit_bytes:,} bytes, the limit for such files",
        "it was damaged, or is not from fintts; inspect it, and remove it",
    )


def check_source(source: Path) -> None:
    """Raises StoreError if there is no such file to store."""
    if not source.is_file():
        raise StoreError(
            f"{source} cannot be stored because it does not exist", "check whether it was moved"
        )


def check_key(key: str) -> str:
    """Returns the key, or raises InvalidKey if it is not one that every store can hold."""
    reserved = any(part.startswith(TEMPORARY_PREFIX) for part in key.split("/"))
    if reserved or not is_relative_name(key):
        raise InvalidKey(
            f"the store accepts no key named {key!r}",
            f"use a relative name without '..', backslashes and '{TEMPORARY_PREFIX}'",
        )
    return key


def check_prefix(prefix: str) -> str:
    """Returns the prefix, or raises InvalidKey if it points out of the store."""
    if prefix:
        check_key(f"{prefix}x")
    return prefix


def is_relative_name(name: str) -> bool:
    """Whether a name with `/` between its parts stays below the folder that it is put into."""
    return (
        all(part not in ("", ".", "..") for part in name.split("/"))
        and "\\" not in name
        and name.isprintable()
    )
