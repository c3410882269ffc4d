"""Gives a file its final name, but never replaces another file.

A hard link does that; on a file system without hard links (FAT, exFAT, SMB), Linux's renameat2
does, which Python lacks.
"""

import ctypes
import errno
import os
from pathlib import Path

from fintts_store.disk.errors import NOT_KNOWN_HERE
from fintts_store.errors import StoreDenied

_NO_LINKS = NOT_KNOWN_HERE | {errno.EPERM, errno.EMLINK}
"""errors of link() on a file system without hard links: EPERM by its manual"""
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


def give_new_name(temporary: Path, path: Path) -> None:
    """Makes the file `temporary` available as `path`; the old name may stay.

    Raises:
        FileExistsError: `path` exists.
        StoreDenied: the file system cannot guarantee that only one of several writers succeeds.
    """
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_to_new(temporary, path, error)


def _rename_to_new(temporary: Path, path: Path, of_link: OSError) -> None:
    try:
        rename_without_replacing(temporary, path)
    except OSError as error:
        if error.errno not in NOT_KNOWN_HERE:
            raise
        raise StoreDenied(
            f"the file system of {path.parent} cannot keep two writers apart: it lacks link() "
            f"({of_link.strerror}) and renameat2() with RENAME_NOREPLACE ({error.strerror})",
            "use a folder on another file system, such as ext4, XFS, APFS or NFS, or s3://",
        ) from error


def rename_without_replacing(old: Path, new: Path) -> None:
    """Linux's renameat2. Raises FileExistsError if `new` is there."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(new)) from None
    names = os.fsencode(old), os.fsencode(new)
    if call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(new))
