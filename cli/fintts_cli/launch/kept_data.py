"""The data of a run whose folder is not on this machine: the store has its data set."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_inputs.data.pack import read_pack
from fintts_inputs.errors import FolderMissing
from fintts_store.encoded import find_encoded
from fintts_store.errors import KeyNotFound
from fintts_store.network.fetch import fetch
from fintts_store.runs.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fintts_store.runs.run_record import DatasetRef, RecordingsRef, RunRecord
    from fintts_store.store import Store


@dataclass(frozen=True, slots=True)
class KeptData:
    """A run's data set in the store.

    Attributes:
        recordings: what it was made of; None if that was a folder of codes.
        lengths: name → bytes of the text, and frames.
    """

    dataset: DatasetRef
    recordings: RecordingsRef | None
    lengths: Mapping[str, tuple[int, float]]


def _is_missing(folder: Path) -> bool:
    """Whether there is certainly no such folder; one that cannot be opened is there."""
    try:
        folder.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def kept_if_missing(store: Store, run: str, folder: Path) -> KeptData | None:
    """What the store keeps of a run's data; None if their folder is on this machine.

    Raises:
        FolderMissing: the run needs the folder.
        DataProblem, StoreError: the data set is damaged, or cannot be read.
    """
    if not _is_missing(folder):
        return None
    try:
        record = read_run(store, run)
    except KeyNotFound:
        raise FolderMissing(
            f"the data folder {folder} does not exist",
            "set data to where it is now; a run whose data are in the store resumes by --name",
        ) from None
    dataset = _dataset_of(store, record)
    if dataset is None:
        raise FolderMissing(
            f"the folder of recordings {folder} does not exist, and run {record.run} has not "
            "encoded all of them yet",
            "set data to where they are now",
        )
    return KeptData(dataset, record.recordings, _lengths_in(store, dataset))


def _dataset_of(store: Store, record: RunRecord) -> DatasetRef | None:
    if record.dataset is not None or record.recordings is None:
        return record.dataset
    found = find_encoded(store, record.recordings)
    return None if found is None else found.dataset


def _lengths_in(store: Store, dataset: DatasetRef) -> dict[str, tuple[int, float]]:
    """Fetches the data set, which also shows before anything is rented that it is whole."""
    with tempfile.TemporaryDirectory(prefix="fintts-data-") as temporary:
        path = Path(temporary, "data")
        fetch(store, dataset.key, path, dataset.sha256, dataset.size_bytes)
        pack = read_pack(path)
        return {
            pack.name(number): (len(pack.text(number).encode()), float(pack.codes(number).shape[1]))
            for number in range(len(pack))
        }
