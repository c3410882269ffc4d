"""What earlier runs have encoded of a run's recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_store.encoded import find_encoded, stored_parts

if TYPE_CHECKING:
    from fintts_cli.launch.recordings import CheckedRecordings
    from fintts_store.runs.run_record import DatasetRef
    from fintts_store.store import Store


def dataset_made_of(store: Store, checked: CheckedRecordings) -> DatasetRef | None:
    """The data set that an earlier run has made of these recordings; None if there is none.

    Raises:
        StoreError: the store cannot be read.
    """
    found = find_encoded(store, checked.described)
    return None if found is None else found.dataset


def seconds_to_encode(store: Store, checked: CheckedRecordings) -> float:
    """The speech that no instance has encoded yet.

    Raises:
        StoreError: the store cannot be read.
    """
    if dataset_made_of(store, checked) is not None:
        return 0.0
    stored = stored_parts(store, checked.described.encoded)
    left = (names for number, names in checked.parts.items() if number not in stored)
    return sum(checked.speech[name].seconds for names in left for name in names)
