"""Writes files so that a power cut leaves the old or the new file, never a part.

The order is: temporary name in the same folder, bytes, length check, fsync, rename, fsync of the
folder. Every function raises a StoreError that names the path that could not be written.
"""

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from fintts_store.disk.errors import ANOTHER_DIRECTORY, NOT_KNOWN_HERE, explained
from fintts_store.disk.new_name import give_new_name
from fintts_store.errors import StoreDenied, StoreUnreachable
from fintts_store.store import TEMPORARY_PREFIX

WRITE_BACK_BYTES = 8 * 1024 * 1024


def write_file(path: Path, data: bytes, *, within: Path | None = None) -> None:
    """Writes or replaces the file; makes missing folders, but not `within` or those above it."""
    with explained(path), _temporary_beside(path, within) as temporary:
        _fill(temporary, data)
        temporary.replace(path)
        sync_directory(path.parent)


def copy_file(source: Path, path: Path, *, within: Path | None = None) -> None:
    """Copies the file `source` to `path`, as durably as `write_file`."""
    with explained(path), _temporary_beside(path, within) as temporary:
        shutil.copyfile(source, temporary)
        _sync_file(temporary, source.stat().st_size)
        temporary.replace(path)
        sync_directory(path.parent)


def create_file(path: Path, data: bytes, *, within: Path | None = None) -> None:
    """Writes a new file; raises FileExistsError if the file exists, and leaves it unchanged."""
    with explained(path), _temporary_beside(path, within) as temporary:
        _fill(temporary, data)
        # Not O_EXCL: the name appears with all of its bytes, and only once.
        give_new_name(temporary, path)
        sync_directory(path.parent)


@contextmanager
def durable_file(target: Path) -> Generator[Path]:
    """Yields a path to write, which replaces `target` when the block ends without an error. For
    files too large for `write_file`.
    """
    with explained(target), _temporary_beside(target) as temporary:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        sync_directory(target.parent)


@dataclass(frozen=True, slots=True)
class UnnamedFile:
    """A file that is being written, and whose name is known only when it is complete."""

    path: Path

    def keep_as(self, name: str) -> Path:
        """Gives the complete file its name in the same folder; returns its path."""
        target = self.path.with_name(name)
        _sync(self.path)
        self.path.replace(target)
        sync_directory(target.parent)
        return target


@contextmanager
def unnamed_file(folder: Path) -> Generator[UnnamedFile]:
    """Yields a file to write in the folder. Unless it gets its name, it is removed at the end, with
    the folders that were made for it."""
    missing = list(takewhile(lambda each: not each.exists(), (folder, *folder.parents)))
    try:
        with explained(folder), _temporary_beside(folder / "unnamed") as temporary:
            yield UnnamedFile(temporary)
    finally:
        for each in missing:
            with suppress(OSError):  # it has files in it, or was never made
                each.rmdir()


@contextmanager
def durable_directory(target: Path) -> Generator[Path]:
    """Yields an empty folder that becomes `target` when the block ends without an error.

    It replaces an existing `target`. After an error, `target` is unchanged, and the temporary
    folder is removed.
    """
    temporary = _temporary_name(target)
    try:
        with resumable_directory(target, temporary) as folder:
            yield folder
    finally:
        discard(temporary)


@contextmanager
def resumable_directory(target: Path, partial: Path) -> Generator[Path]:
    """Yields the folder `partial` with the files of an earlier attempt; it becomes `target`.

    After an error, `partial` stays for another attempt or for `discard`; `target` is unchanged.
    """
    with explained(target):
        make_directories(partial.parent)
        if partial.is_symlink():  # not ours: nothing is written through a link
            partial.unlink()
        partial.mkdir(exist_ok=True)
        yield partial
        _sync_tree(partial)
        _replace_directory(partial, target)


def discard(partial: Path) -> None:
    """Removes the partial folder of `resumable_directory`."""
    shutil.rmtree(partial, ignore_errors=True)


def make_directories(path: Path, *, within: Path | None = None) -> None:
    """Makes a folder and those above it, so that they survive a power cut.

    Raises:
        FileNotFoundError: `within` does not exist; it is not made.
    """
    missing = list(takewhile(lambda folder: not folder.exists(), (path, *path.parents)))
    if within in missing:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(within))
    for folder in reversed(missing):
        with suppress(FileExistsError):
            folder.mkdir()
    if not path.is_dir():  # a file stands there; what an existing key means is another matter
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    for folder in missing:
        sync_directory(folder.parent)


def sync_directory(path: Path) -> None:
    """Makes renames and new names in a folder survive a power cut; skips a missing folder, and file
    systems without this."""
    try:
        _fsync(path)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in NOT_KNOWN_HERE:
            raise


@contextmanager
def _temporary_beside(path: Path, within: Path | None = None) -> Generator[Path]:
    make_directories(path.parent, within=within)
    temporary = _temporary_name(path)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_name(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{path.name}")


def name_meant(temporary_name: str) -> str:
    """The final name of a temporary file."""
    return temporary_name.removeprefix(TEMPORARY_PREFIX).partition("-")[2]


def _fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    _sync_file(path, len(data))


def _sync_file(path: Path, size_bytes: int) -> None:
    written_bytes = path.stat().st_size
    if written_bytes != size_bytes:
        raise StoreUnreachable(
            f"{path} has {written_bytes} bytes although {size_bytes} were written",
            "check the disk, and that no other program writes there",
        )
    _sync(path)


def _sync(path: Path) -> None:
    try:
        _fsync(path)
    except OSError as error:
        if error.errno not in NOT_KNOWN_HERE:
            raise
        raise StoreDenied(
            f"the file system of {path.parent} cannot confirm that a file is on the disk: it lacks "
            f"fsync() ({error.strerror})",
            ANOTHER_DIRECTORY,
        ) from error


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class EarlyWriteBack:
    """Appends to a file, and starts the write-back to disk at once.

    By default Linux keeps the bytes in memory for half a minute, and the fsync at the end would
    wait for nearly all of them, with nothing else to do.
    """

    def __init__(self, file: BinaryIO, every_bytes: int = WRITE_BACK_BYTES) -> None:
        self._file, self._every_bytes = file, every_bytes
        self._begun = self._written = file.tell()

    def write(self, data: bytes) -> None:
        """Raises what the file's own `write` raises."""
        self._file.write(data)
        self._written += len(data)
        if self._written - self._begun >= self._every_bytes:
            self._begin()

    def _begin(self) -> None:
        first, self._begun = self._begun, self._written
        if sys.platform == "linux":
            self._file.flush()
            # "Not needed in memory" starts the write-back of what is not on the disk yet. It may be
            # ignored; fsync is what counts.
            with suppress(OSError):
                os.posix_fadvise(
                    self._file.fileno(), first, self._begun - first, os.POSIX_FADV_DONTNEED
                )


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_directory(path)
        else:
            _sync(path)
    sync_directory(folder)


def _replace_directory(temporary: Path, target: Path) -> None:
    aside = _temporary_name(target)
    if target.exists():
        target.rename(aside)
    try:
        temporary.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise
    sync_directory(target.parent)
    shutil.rmtree(aside, ignore_errors=True)
