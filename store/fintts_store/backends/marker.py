"""The marker of a directory store: a small file in its root that identifies the store."""

import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from fintts_store.disk.durable import create_file, make_directories
from fintts_store.disk.errors import explained
from fintts_store.disk.reading import open_plain
from fintts_store.errors import StoreUnreachable

MARKER = ".fintts-store"
ID_BYTES = 8
MOST_BYTES = 4096


class Marker:
    """Checks whether a store that this process has seen is still there.

    Reading creates nothing. The first write creates the folder and its marker, or adds the marker
    to an older store; but a store that existed once is never created again.
    """

    def __init__(self, root: Path, seen: str | None = None, hint: str = "") -> None:
        """`seen`: the marker that an earlier process read; `hint`: what to do if the store is gone
        for good."""
        self._root, self._path, self._hint = root, root / MARKER, hint
        self._seen = seen
        """the marker's content; empty for a store without one"""

    def check(self) -> None:
        """Raises StoreUnreachable if the store is gone, or another store is in its place."""
        seen = self._seen  # before reading it: another thread may create the store in the meantime
        there = self._read()
        if seen and there != seen:
            raise self._gone()
        if seen == "" and not self._root.is_dir():
            raise self._gone()
        if there:
            self._seen = there

    def note(self) -> None:
        """Records that the store is there, after a successful read."""
        if self._seen is None:
            self._seen = self._read() or ""

    @contextmanager
    def there_throughout(self) -> Generator[None]:
        """Checks before and after a read: a disk may disappear during a listing."""
        self.check()
        yield
        self.check()

    def put_up(self) -> None:
        """Creates a missing folder and marker, unless they existed once."""
        self.check()
        if self._seen:
            return
        with explained(self._path):
            if self._seen is None:
                make_directories(self._root)
            with suppress(FileExistsError):
                create_file(
                    self._path, f"{secrets.token_hex(ID_BYTES)}\n".encode(), within=self._root
                )
        self.check()

    def _read(self) -> str | None:
        return read_marker(self._root)

    def _gone(self) -> StoreUnreachable:
        first = "mount its disk again, or give the folder its name back"
        return StoreUnreachable(
            f"the store in {self._root} was there before, but is missing now",
            f"{first}; {self._hint}" if self._hint else f"{first}; pending writes then continue",
        )


def read_marker(root: Path) -> str | None:
    """The content of the marker in a folder; None if there is none.

    Raises:
        StoreError: it cannot be read.
    """
    path = root / MARKER
    try:
        with explained(path), open_plain(path) as file:
            return file.read(MOST_BYTES).decode(errors="replace").strip() or "without an id"
    except FileNotFoundError:
        return None


@contextmanager
def folder_as_it_was(folder: Path) -> Generator[None]:
    """Removes the folders that a block made for `folder`, if they are empty again except for a
    store's marker.

    Raises:
        StoreError: it is not even visible whether it exists.
    """
    with explained(folder):
        made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    finally:
        if folder in made and _names_in(folder) == [MARKER]:
            (folder / MARKER).unlink(missing_ok=True)
        for path in made:
            with suppress(OSError):
                path.rmdir()


def _names_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []
