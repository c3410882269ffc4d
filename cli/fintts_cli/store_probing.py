"""Every kind of store has probes of its own, beside those of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.probes import folder_as_it_was, probe_store

if TYPE_CHECKING:
    from fintts_store.probes import Outcome
    from fintts_store.store import Store


def probe(store: Store) -> list[Outcome]:
    """Tries all that runs need of a store, and leaves it as it was."""
    if isinstance(store, S3Store):
        return probe_store(store, store.probes)
    if isinstance(store, DirectoryStore):
        with folder_as_it_was(store.root):
            # Another one: this one would remember a folder that is there for the probes alone.
            return probe_store(store.anew())
    return probe_store(store)
