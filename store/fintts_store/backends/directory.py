"""The directory store: a folder in which the files' relative paths are the keys.

A marker in the folder identifies it as a store. It distinguishes an empty store from the mount
point of an unmounted disk, and from a folder that was renamed during a run.
"""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from fintts_store.addresses import HOW, folder_of, has_scheme, refuse_odd
from fintts_store.backend import Grant
from fintts_store.backends.marker import MARKER, Marker, folder_as_it_was, read_marker
from fintts_store.disk.durable import copy_file, create_file, name_meant, write_file
from fintts_store.disk.errors import chosen_by, explained
from fintts_store.disk.file_system import file_system_of
from fintts_store.disk.reading import open_plain
from fintts_store.errors import (
    InvalidKey,
    KeyExists,
    KeyNotFound,
    StoreDenied,
    StoreUnreachable,
)
from fintts_store.network.bounded import KeyCount
from fintts_store.network.patience import Patience
from fintts_store.network.reach import Obstacle
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.store import (
    CHUNK_BYTES,
    TEMPORARY_PREFIX,
    Entries,
    Entry,
    Names,
    check_key,
    check_prefix,
    check_source,
    read_all,
    spare_none,
)

_WRITE_ATTEMPTS = 20

Found = tuple[str, os.DirEntry[str]]
"""a key, and its file"""


class DirectoryStore:
    """Keeps each key in its own file; Store documents the methods.

    Only regular files and real folders count: list() neither lists nor follows links.
    """

    def __init__(self, root: Path, marker: str | None = None, hint: str = "") -> None:
        """`marker`: the marker of the store that was in this folder before; `hint`: what to do if
        that store is gone for good."""
        self._root, self._known = root.absolute(), (marker, hint)
        self._marker = Marker(self._root, marker, hint)

    def marker(self) -> str | None:
        return read_marker(self._root)

    def expecting(self, marker: str, hint: str) -> "DirectoryStore":
        return type(self)(self._root, marker, hint)

    @contextmanager
    def as_it_was(self) -> "Generator[DirectoryStore]":
        """Yields a new store: this one would remember a folder that exists only in the block."""
        with folder_as_it_was(self._root):
            yield type(self)(self._root, *self._known)

    @property
    def root(self) -> Path:
        """The folder, which may not exist yet."""
        return self._root

    @property
    def url(self) -> str:
        return str(self._root)

    def server(self) -> str:
        """The kind of file system; empty if unknown."""
        return file_system_of(self._root)

    def clock(self, within: str = "") -> datetime | None:
        """The clock of the disk or of its server, from a file written now; None if none can be
        written."""
        try:
            with TemporaryFile(dir=self._root, prefix=TEMPORARY_PREFIX) as file:
                file.write(b"\n")
                file.flush()
                os.fsync(file.fileno())
                return datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        except (OSError, ValueError, OverflowError):
            return None

    def put(self, key: str, source: bytes | Path) -> None:
        path = self._path(key)
        if isinstance(source, bytes):
            self._write(path, partial(write_file, path, source, within=self._root))
            return
        with explained(source):
            check_source(source)
        self._write(path, partial(copy_file, source, path, within=self._root))

    def create(self, key: str, data: bytes) -> None:
        path = self._path(key)
        try:
            self._write(path, partial(create_file, path, data, within=self._root))
        except FileExistsError as error:
            raise KeyExists(f"{key} already exists in {self.url}") from error

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        with closing(self.stream(key)) as chunks:
            return read_all(chunks, limit_bytes, f"{self.url}/{key}")

    def stream(self, key: str, start: int = 0) -> Generator[bytes]:
        path = self._path(key)
        try:
            with chosen_by("--store"), explained(path):
                if path.is_dir():
                    raise self._not_found(key)
                with open_plain(path) as file:
                    self._marker.note()
                    file.seek(start)
                    while chunk := file.read(CHUNK_BYTES):
                        yield chunk
        except FileNotFoundError as error:
            self._marker.check()
            raise self._not_found(key) from error

    def list(self, prefix: str) -> Entries:
        with self._marker.there_throughout():
            found = self._counted(self._walk(self._root, "", check_prefix(prefix)))
            entries = [entry for key, item in found if (entry := _entry(key, item))]
        return sorted(entries, key=lambda entry: entry.key)

    def folders(self, prefix: str) -> Names:
        with self._marker.there_throughout():
            items = _scan(self._root / check_prefix(prefix))
            KeyCount(self.url).add(len(items))
        return sorted(item.name for item in items if item.is_dir(follow_symlinks=False))

    def delete(self, key: str) -> None:
        path = self._path(key)
        self._marker.check()
        with chosen_by("--store"), explained(path):
            if path.is_dir():
                return
            path.unlink(missing_ok=True)
        self._remove_empty(path.parent)

    def unfinished(self, prefix: str) -> Names:
        with self._marker.there_throughout():
            found = self._temporary(check_prefix(prefix))
        return sorted(self._key_meant(path) for path in found)

    def discard_unfinished(self, prefix: str, spare: Callable[[str], bool] = spare_none) -> None:
        for path in self._temporary(check_prefix(prefix)):
            if spare(self._key_meant(path)):
                continue
            with explained(path):
                path.unlink(missing_ok=True)
            self._remove_empty(path.parent)

    def _path(self, key: str) -> Path:
        if key == MARKER:
            raise InvalidKey(
                f"the store accepts no key named {key}", "the store uses that name for its marker"
            )
        return self._root / check_key(key)

    def _write(self, path: Path, write: Callable[[], None]) -> None:
        """Writes; tries again if a delete removes the folder between making and using it."""
        for _ in range(_WRITE_ATTEMPTS):
            try:
                with chosen_by("--store"):
                    self._marker.put_up()
                    write()
            except FileNotFoundError:
                continue
            except BaseException:
                self._remove_empty(path.parent)
                raise
            return
        raise StoreUnreachable(
            f"{path.parent} disappears during a write", "find out what else removes it"
        )

    def _not_found(self, key: str) -> KeyNotFound:
        return KeyNotFound(f"{self.url} has no {key}")

    def _walk(self, folder: Path, key: str, prefix: str) -> Iterator[Found]:
        """(key, file) of everything below the folder that may start with the prefix."""
        for item in _scan(folder):
            name = key + item.name
            if item.is_dir(follow_symlinks=False):
                below = f"{name}/"
                if below.startswith(prefix) or prefix.startswith(below):
                    yield from self._walk(Path(item.path), below, prefix)
            elif _is_key(name, prefix) and item.is_file(follow_symlinks=False):
                yield name, item

    def _counted(self, found: Iterator[Found]) -> Iterator[Found]:
        count = KeyCount(self.url)
        for each in found:
            count.add(1)
            yield each

    def _temporary(self, prefix: str) -> tuple[Path, ...]:
        """The temporary files of writes to keys with this prefix."""
        folder = self._root / prefix.rpartition("/")[0]
        with chosen_by("--store"), explained(folder):
            found = [p for p in folder.rglob(f"{TEMPORARY_PREFIX}*") if p.is_file()]
        return tuple(path for path in found if self._key_meant(path).startswith(prefix))

    def _key_meant(self, temporary: Path) -> str:
        meant = temporary.with_name(name_meant(temporary.name))
        return meant.relative_to(self._root).as_posix()

    def _remove_empty(self, folder: Path) -> None:
        """Removes the folders that a delete left empty, up to the root."""
        while folder != self._root and self._root in folder.parents:
            try:
                folder.rmdir()
            except OSError:  # not empty, or already gone
                return
            folder = folder.parent


def _is_key(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name != MARKER


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    """The contents of a folder without temporary names; empty if it does not exist."""
    try:
        with chosen_by("--store"), explained(folder), os.scandir(folder) as items:
            return [item for item in items if not item.name.startswith(TEMPORARY_PREFIX)]
    except FileNotFoundError:
        return []


def _entry(key: str, item: os.DirEntry[str]) -> Entry | None:
    """None if it was removed since the scan."""
    try:
        with explained(Path(item.path)):
            return Entry(key, item.stat(follow_symlinks=False).st_size)
    except FileNotFoundError:
        return None


class DirectoryBackend:
    """Folders as a kind of store; Backend documents the methods."""

    scheme = ""
    environment = ()

    def full_address(self, url: str, endpoint_url: str | None) -> str:
        """The folder's path: a folder has no server."""
        return _folder(url)

    def place(self, url: str) -> str:
        return os.path.realpath(_folder(url))

    def cloud(self, url: str) -> str | None:
        return None

    def open(self, url: str, patience: Patience) -> DirectoryStore:
        return DirectoryStore(Path(_folder(url)))

    def obstacle(self, url: str) -> Obstacle:
        return Obstacle(
            f"a rented instance cannot reach the folder {url}",
            "--store s3://BUCKET/PREFIX; --infra local runs here",
        )

    def grant(
        self,
        url: str,
        run: str,
        reads: Sequence[str],
        deadline_at: datetime,
        role: str,
        *,
        adds_to: Sequence[str] = (),
    ) -> Grant:
        """An empty grant: a run on this machine needs only the folder's permissions."""
        return Grant({})

    def try_grant(
        self,
        url: str,
        run: str,
        reads: Sequence[str],
        grant: Grant,
        *,
        adds_to: Sequence[str] = (),
    ) -> None:
        """Does nothing: there is no key to try."""


def _folder(url: str) -> str:
    refuse_odd(url)
    if has_scheme(url):
        is_file = url.lower().startswith("file:")
        hint = "give the path without file://" if is_file else HOW
        raise StoreDenied(f"{url} is not the address of a supported store", hint)
    return folder_of(url)
