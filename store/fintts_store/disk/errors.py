"""Turns the operating system's errors into sentences with a hint."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fintts_store.errors import (
    InvalidKey,
    PermissionMissing,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnreachable,
)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
NOT_KNOWN_HERE = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.ENOTTY}
)
"""a file system's errors for a call that it does not support"""
ANOTHER_DIRECTORY = "choose another directory"
_WRONG_KIND = {errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY}


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Raises a StoreError for each OSError about `path`.

    FileNotFoundError and FileExistsError pass unchanged, for the caller to interpret.
    """
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        raise _explain(error, path) from error


@contextmanager
def chosen_by(option: str) -> Generator[None]:
    """Adds the option that chose the directory to hints that advise another one."""
    try:
        yield
    except StoreError as error:
        if error.hint.endswith(ANOTHER_DIRECTORY):
            error.hint += f" with {option}"
        raise


def is_full(error: OSError) -> bool:
    """Whether a disk, or the user's quota on it, is full."""
    return error.errno in _FULL


def _explain(error: OSError, path: Path) -> StoreError:
    reason = error.strerror or str(error)
    if is_full(error):
        return StoreFull(f"no space is left for {path}", "free some space on that disk")
    if error.errno in _DENIED:
        return PermissionMissing(
            f"{path} cannot be accessed: {reason}",
            f"change its permissions, or {ANOTHER_DIRECTORY}",
        )
    if error.errno in _WRONG_KIND:
        return StoreDenied(
            f"{path} cannot be used: {reason}",
            f"there is a file instead of a directory, or the reverse: {ANOTHER_DIRECTORY}",
        )
    if error.errno == errno.ENAMETOOLONG:
        return InvalidKey(f"the name {path} is too long", "choose a shorter directory or name")
    return StoreUnreachable(
        f"{path} cannot be reached: {reason}", "check that the disk is connected and works"
    )
