"""TensorBoard's event files of a run, fetched from the store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fintts_store.disk.errors import explained
from fintts_store.layout import all_tensorboard_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fintts_store.store import Store

FILE = re.compile(r"([0-9]{6})/(events\.out\.tfevents\.[A-Za-z0-9._-]{1,200})")
"""below the run's folder: claim and file; anything else in a store is not ours"""
MOST_BYTES = 1 << 30
"""of all files of a run: three thousand steps have three megabytes"""


def fetch_event_files(store: Store, run: str, folder: Path) -> int:
    """Writes the run's event files into the folder, by claim; returns how many there are.

    Raises:
        StoreError: the store cannot be read, or the disk cannot be written.
    """
    written, left_bytes = 0, MOST_BYTES
    for entry, claim, name in _event_files(store, run):
        target = folder / claim / name
        with explained(target):
            target.parent.mkdir(exist_ok=True)
            with target.open("wb") as file:
                for chunk in store.stream(entry):
                    left_bytes -= len(chunk)
                    if left_bytes < 0:
                        return written
                    file.write(chunk)
        written += 1
    return written


def _event_files(store: Store, run: str) -> Iterator[tuple[str, str, str]]:
    """Key, claim and file name of each."""
    prefix = all_tensorboard_prefix(run)
    for entry in store.list(prefix):
        found = FILE.fullmatch(entry.key.removeprefix(prefix))
        if found is not None:
            yield entry.key, found[1], found[2]
