"""The folder for this machine's records: where it is, and that other users of the machine cannot
read it."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from fintts_cli.errors import ConfigError, refuse_empty
from fintts_store.disk.durable import make_directories
from fintts_store.errors import StoreError

VARIABLE = "FINTTS_STATE_DIR"
STORE = "store"
"""the default store, as large as its runs"""
SKY_FOLDER, SKY_LOG = "sky", "sky.log"
"""where SkyPilot's output is kept"""
OTHERS = stat.S_IRWXG | stat.S_IRWXO
ANOTHER = f"set {VARIABLE} to a folder that you can write to"


def state_directory() -> Path:
    """FINTTS_STATE_DIR, or else the user's folder for program state.

    Raises:
        ConfigError: neither is known, or the variable is set but empty.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        refuse_empty(VARIABLE, named)
        try:
            return Path(named).expanduser().absolute()
        except RuntimeError:
            raise ConfigError(f"{VARIABLE}: there is no home folder for {named}", ANOTHER) from None
    from platformdirs import user_state_path

    try:
        folder = user_state_path("fintts")
    except RuntimeError:
        raise _homeless() from None
    if not folder.is_absolute():  # earlier versions of platformdirs report it this way
        raise _homeless()
    return folder


def home_folder() -> Path:
    """The user's home folder.

    Raises ConfigError: it is unknown.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise _homeless() from None


def _homeless() -> ConfigError:
    return ConfigError(
        "your home folder is unknown: HOME is not set, and this machine has no user with the "
        f"number {os.getuid()}",
        f"set HOME, or {ANOTHER}",
    )


def open_state() -> list[str]:
    """Creates the folder, tries to write to it, and closes it to other users.

    Returns what the user should know, one sentence each.

    Raises:
        ConfigError: the folder cannot be written.
    """
    folder = state_directory()
    is_new = not folder.exists()
    _try(folder)
    if is_new:
        folder.chmod(stat.S_IRWXU)
        return []
    found = folder.stat()
    if found.st_uid != os.getuid():
        return [f"{folder} belongs to another user, who can read and change it"]
    if not found.st_mode & OTHERS:
        return []
    if found.st_mode & stat.S_ISVTX or folder in _never_closed():
        return [
            f"{folder} is open to other users of this machine; set {VARIABLE} to another folder"
        ]
    _close(folder)
    return [f"{folder} was open to other users of this machine; it is private now"]


def _try(folder: Path) -> None:
    trial = folder / f".tmp-{secrets.token_hex(4)}"
    try:
        make_directories(folder)
        trial.write_bytes(b"x")
        trial.unlink()
    except StoreError as error:
        raise ConfigError(error.message, ANOTHER) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{folder} cannot be written: {reason}", ANOTHER) from None


def _never_closed() -> set[Path]:
    """Folders that hold more than this program's state; these are never closed."""
    home = Path(os.environ.get("HOME", "/"))
    return {home, *home.parents, Path("/tmp")}


def _close(folder: Path) -> None:
    folder.chmod(stat.S_IRWXU)
    for parent, folders, names in os.walk(folder):
        if Path(parent) == folder and STORE in folders:
            folders.remove(STORE)
        for path in (Path(parent, name) for name in (*folders, *names)):
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~OTHERS)
