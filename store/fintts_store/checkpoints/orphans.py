"""Removes the files of uploads that were never committed."""

from fintts_store import layout
from fintts_store.checkpoints.manifest import (
    Tombstone,
    load_commit,
)
from fintts_store.checkpoints.removal import delete_all
from fintts_store.errors import (
    InvalidKey,
    InvalidRecord,
    KeyExists,
    KeyNotFound,
)
from fintts_store.layout import CommitName
from fintts_store.store import Store


def clean_up_orphans(store: Store, run: str, claim: int) -> list[CommitName]:
    """Removes uncommitted uploads of lower claims; returns their names.

    Writes a tombstone at the commit's key first, so that a slow instance that wakes up now
    cannot commit files that are being deleted.
    """
    committed = {entry.key for entry in store.list(layout.commits_prefix(run))}
    cleared: list[CommitName] = []
    # This claim has written nothing there yet, so an unfinished upload is a killed instance's.
    store.discard_unfinished(layout.commits_prefix(run))
    store.discard_unfinished(layout.metrics_prefix(run))
    # A checkpoint whose first file never arrived has no folder for the loop below to find.
    store.discard_unfinished(
        layout.checkpoints_prefix(run), spare=lambda key: not _is_lower(run, key, claim)
    )
    for folder in store.folders(layout.checkpoints_prefix(run)):
        try:
            name = layout.parse_commit_name(f"{folder}.json")
        except InvalidKey:  # not a name that fintts writes
            continue
        if name.claim >= claim:
            continue
        is_free = layout.commit_key(run, name) not in committed or _is_buried(store, run, name)
        if is_free and clear_orphan(store, run, name, claim):
            cleared.append(name)
    return cleared


def clear_orphan(store: Store, run: str, name: CommitName, claim: int) -> bool:
    """Removes one uncommitted upload of a claim below `claim`; returns whether it was one.

    Raises:
        StoreError: something could not be removed.
    """
    if name.claim >= claim or not _bury(store, run, name, claim):
        return False
    prefix = layout.checkpoint_prefix(run, name)
    store.discard_unfinished(prefix)
    delete_all(store, prefix)
    return True


def _is_lower(run: str, key: str, claim: int) -> bool:
    theirs = layout.claim_of(run, key)
    return theirs is not None and theirs < claim


def _bury(store: Store, run: str, name: CommitName, claim: int) -> bool:
    """Writes a tombstone at this name; returns whether one, new or earlier, is there."""
    try:
        store.create(layout.commit_key(run, name), Tombstone(by_claim=claim).dump().encode())
    except KeyExists:  # a manifest or a tombstone is there: read which
        return _is_buried(store, run, name)
    return True


def _is_buried(store: Store, run: str, name: CommitName) -> bool:
    key = layout.commit_key(run, name)
    try:
        return load_commit(store.get(key), key) is None
    except (KeyNotFound, InvalidRecord):
        # Rotated away between the listings, or unreadable: in either case it is not an orphan.
        return False
