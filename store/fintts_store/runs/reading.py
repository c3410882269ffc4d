"""Reads records from a store: within a record's size limit, and only of the run whose folder it
is."""

from typing import TypeVar

from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.runs.record import OfRun
from fintts_store.store import Store

Kind = TypeVar("Kind", bound=OfRun)


def read_record(
    store: Store, kind: type[Kind], run: str, key: str, limit_bytes: int = RECORD_BYTES
) -> Kind:
    """The record of a run at a key.

    Raises:
        KeyNotFound: there is no record.
        InvalidRecord: the record is damaged, too large, or of another run.
    """
    source = f"{store.url}/{key}"
    record = kind.load(store.get(key, limit_bytes), source)
    if record.run != run:
        raise InvalidRecord(
            f"{source} belongs to run {record.run}, not to {run}",
            "it was moved or edited by hand; restore or remove it",
        )
    return record


def find_record(store: Store, kind: type[Kind], run: str, key: str) -> Kind | None:
    """The record at a key; None if there is none."""
    try:
        return read_record(store, kind, run, key)
    except KeyNotFound:
        return None
