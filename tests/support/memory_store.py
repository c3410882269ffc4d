"""A store in memory, and one that breaks off between any two writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from fintts_store.errors import KeyExists, KeyNotFound
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.store import (
    CHUNK_BYTES,
    Entries,
    Entry,
    Names,
    Store,
    check_key,
    check_prefix,
    check_source,
    spare_none,
    too_large,
)


class MemoryStore:
    """Obeys the Store Protocol, as the contract suite shows."""

    def __init__(self) -> None:
        self._content: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return "memory"

    def put(self, key: str, source: bytes | Path) -> None:
        data = source if isinstance(source, bytes) else self._read(source)
        with self._lock:
            self._content[check_key(key)] = data

    def create(self, key: str, data: bytes) -> None:
        with self._lock:
            if check_key(key) in self._content:
                raise KeyExists(f"{key} is there already")
            self._content[key] = data

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        data = self._bytes_of(key)
        if len(data) > limit_bytes:
            raise too_large(key, limit_bytes)
        return data

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        data = self._bytes_of(key)
        for first in range(start, len(data), CHUNK_BYTES):
            yield data[first : first + CHUNK_BYTES]

    def list(self, prefix: str) -> Entries:
        check_prefix(prefix)
        with self._lock:
            found = [key for key in self._content if key.startswith(prefix)]
            return [Entry(key, len(self._content[key])) for key in sorted(found)]

    def folders(self, prefix: str) -> Names:
        rests = [entry.key[len(prefix) :] for entry in self.list(prefix)]
        return sorted({rest.split("/", 1)[0] for rest in rests if "/" in rest})

    def delete(self, key: str) -> None:
        with self._lock:
            self._content.pop(check_key(key), None)

    def unfinished(self, prefix: str) -> Names:
        check_prefix(prefix)
        return []

    def discard_unfinished(self, prefix: str, spare: Callable[[str], bool] = spare_none) -> None:
        check_prefix(prefix)

    def _bytes_of(self, key: str) -> bytes:
        with self._lock:
            if check_key(key) not in self._content:
                raise KeyNotFound(f"there is no {key}")
            return self._content[key]

    @staticmethod
    def _read(source: Path) -> bytes:
        check_source(source)
        return source.read_bytes()


class CountingStore(MemoryStore):
    """Counts how many keys are read, and how often keys are listed."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.listings = 0

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        with self._lock:
            self.reads += 1
        return super().get(key, limit_bytes)

    def list(self, prefix: str) -> Entries:
        with self._lock:
            self.listings += 1
        return super().list(prefix)


class Killed(BaseException):
    """The process is no more."""


class BreakingStore:
    """Passes every call on, until so many writes have been made: then everything ends."""

    def __init__(self, store: Store, writes: int) -> None:
        self._store = store
        self.writes_left = writes

    @property
    def url(self) -> str:
        return self._store.url

    def put(self, key: str, source: bytes | Path) -> None:
        self._count()
        self._store.put(key, source)

    def create(self, key: str, data: bytes) -> None:
        self._count()
        self._store.create(key, data)

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        return self._store.get(key, limit_bytes)

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        return self._store.stream(key, start)

    def list(self, prefix: str) -> Entries:
        return self._store.list(prefix)

    def folders(self, prefix: str) -> Names:
        return self._store.folders(prefix)

    def delete(self, key: str) -> None:
        self._count()
        self._store.delete(key)

    def unfinished(self, prefix: str) -> Names:
        return self._store.unfinished(prefix)

    def discard_unfinished(self, prefix: str, spare: Callable[[str], bool] = spare_none) -> None:
        self._store.discard_unfinished(prefix, spare)

    def _count(self) -> None:
        if self.writes_left == 0:
            raise Killed
        self.writes_left -= 1
