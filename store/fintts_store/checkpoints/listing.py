"""Lists the commits of a run, and reads their manifests."""

import threading
from collections.abc import Callable, Iterable, Sequence

from fintts_store import layout
from fintts_store.checkpoints.manifest import (
    Manifest,
    load_commit,
)
from fintts_store.errors import (
    InvalidKey,
    InvalidRecord,
    KeyNotFound,
    NewerRecord,
    StoreError,
)
from fintts_store.layout import CommitName
from fintts_store.network.parallel import SMALL_AT_ONCE, in_parallel
from fintts_store.runs.claims import highest_claim
from fintts_store.store import Store


def _refuse(_name: CommitName, error: StoreError) -> None:
    raise error


ManifestCache = dict[CommitName, Manifest | None]
"""Manifests read before; None for a tombstone. Neither ever changes"""


def list_manifests(
    store: Store,
    run: str,
    *,
    on_unreadable: Callable[[CommitName, StoreError], None] = _refuse,
    known: ManifestCache | None = None,
    names: Sequence[CommitName] | None = None,
) -> list[Manifest]:
    """All committed checkpoints, the oldest first, without tombstones and without commits of
    claims that were never taken.

    Args:
        on_unreadable: called for each damaged or altered manifest, and for each one whose claim
            was never taken.
        known: a cache of manifests, read before the store and extended.
        names: the commits, if the caller has just listed them and checked their claims.

    Raises:
        InvalidRecord: a manifest is damaged or altered, and there is no `on_unreadable`.
    """
    known = {} if known is None else known
    unreadable: dict[CommitName, StoreError] = {}

    def read(name: CommitName, stop: threading.Event) -> None:
        if stop.is_set():
            return
        try:
            known[name] = read_manifest(store, run, name)
        except KeyNotFound:  # rotated away since the listing
            return
        except InvalidRecord as error:
            unreadable[name] = error

    listed = names if names is not None else list_commits(store, run)
    backed = names if names is not None else backed_by_claims(store, run, listed)
    unreadable |= {name: of_untaken_claim(store, run, name) for name in {*listed} - {*backed}}
    in_parallel(read, [name for name in backed if name not in known], at_once=SMALL_AT_ONCE)
    for name in listed:
        if name in unreadable:
            on_unreadable(name, unreadable[name])
    return [manifest for name in backed if (manifest := known.get(name)) is not None]


def backed_by_claims(store: Store, run: str, names: Sequence[CommitName]) -> list[CommitName]:
    """The commits that an instance can have made: it claims the run first, and claims stay. All
    commits if a run has no claim at all, as in a copy of only its checkpoints.

    Args:
        names: listed before the call, since claims may be taken in the meantime.
    """
    highest = highest_claim(store, run) if names else 0
    return [name for name in names if name.claim <= highest or not highest]


def of_untaken_claim(store: Store, run: str, name: CommitName) -> InvalidRecord:
    """The error for a commit whose claim was never taken."""
    return InvalidRecord(
        f"{store.url}/{layout.commit_key(run, name)} belongs to claim {name.claim}, which no "
        "instance has taken",
        "it was put there by hand; delete it",
    )


def list_commits(store: Store, run: str) -> list[CommitName]:
    """The names of all commits and tombstones, the oldest first; reads none of them."""
    return commits_among(run, (entry.key for entry in store.list(layout.commits_prefix(run))))


def commits_among(run: str, keys: Iterable[str]) -> list[CommitName]:
    """The names of all commits among a run's keys, the oldest first."""
    prefix = layout.commits_prefix(run)
    names: list[CommitName] = []
    for key in keys:
        if not key.startswith(prefix):
            continue
        try:
            names.append(layout.parse_commit_name(key.removeprefix(prefix)))
        except InvalidKey:  # not a name that fintts writes
            continue
    return sorted(names)


def read_manifest(store: Store, run: str, name: CommitName) -> Manifest | None:
    """The manifest of this name; None for a tombstone.

    A failed read is tried a second time: a bit may have flipped in transit, or a server may have
    missed an existing object.

    Raises:
        KeyNotFound: there is no such commit.
        InvalidRecord: the manifest is damaged, or belongs to another checkpoint.
    """
    try:
        return _read_manifest(store, run, name)
    except NewerRecord:
        raise
    except (InvalidRecord, KeyNotFound):
        return _read_manifest(store, run, name)


def _read_manifest(store: Store, run: str, name: CommitName) -> Manifest | None:
    key = layout.commit_key(run, name)
    manifest = load_commit(store.get(key), f"{store.url}/{key}")
    if manifest is not None and (manifest.run, manifest.name) != (run, name):
        raise InvalidRecord(
            f"{store.url}/{key} is the manifest of another checkpoint: "
            f"{manifest.name.text} of run {manifest.run}",
            "it was moved or tampered with; delete it",
        )
    return manifest
