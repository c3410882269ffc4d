"""Checks the folders that a command writes to, before it reads anything."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from fintts_cli.errors import UsageProblem
from fintts_store.opening import FOLDERS, backend_of
from fintts_store.store import TEMPORARY_PREFIX


def refuse_unwritable(folder: Path, option: str) -> None:
    """Refuses a folder on a file system that accepts no new files, such as /proc.

    Other obstacles have their own errors when the command writes.
    """
    above = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with TemporaryDirectory(dir=above, prefix=TEMPORARY_PREFIX):
            return
    except FileNotFoundError:
        raise UsageProblem(
            f"{folder} cannot be created: {above} accepts no new files",
            f"choose another folder with {option}",
        ) from None
    except OSError:
        return


def refuse_in_store(folder: Path, store_url: str, option: str) -> None:
    """Refuses a folder that is a store, or inside one."""
    if backend_of(store_url) is not FOLDERS:
        return
    if folder.resolve().is_relative_to(Path(store_url).resolve()):
        raise UsageProblem(
            f"{folder} is inside the store {store_url}, which is for runs only",
            f"choose a folder outside it with {option}",
        )
