"""Removes committed checkpoints, except those with a pin.

A pin is a key beside the manifest, so the listing of manifests also shows the pins. Pinning and
removing may happen at once: pinning writes the pin, then checks that the manifest is still there;
removing deletes the manifest, then checks for a pin, and restores the manifest if there is one. In
either order no confirmed pin loses its checkpoint. (One exception: if two processes remove the same
checkpoint while a third pins it, all within a few requests, one may restore a manifest whose files
the other deletes.)
"""

from collections.abc import Iterable

from fintts_store import layout
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.errors import InvalidKey, KeyExists, KeyNotFound
from fintts_store.layout import CommitName
from fintts_store.network.retrying import insist
from fintts_store.store import Store

PUT_BACK_SECONDS = 60.0
"""How long to retry: without its manifest a pinned checkpoint is lost"""


def pins_among(run: str, keys: Iterable[str]) -> frozenset[CommitName]:
    """The pinned checkpoints among a run's keys."""
    prefix = layout.commits_prefix(run)
    return frozenset(
        name
        for key in keys
        if key.startswith(prefix) and (name := _pinned_by(key.removeprefix(prefix))) is not None
    )


def _pinned_by(file: str) -> CommitName | None:
    name, dot, kind = file.partition(".")
    try:
        return layout.parse_commit_name(f"{name}.json") if dot + kind == layout.PIN else None
    except InvalidKey:  # not a name that fintts writes
        return None


def list_pins(store: Store, run: str) -> frozenset[CommitName]:
    """The pinned checkpoints of a run."""
    return pins_among(run, (entry.key for entry in store.list(layout.commits_prefix(run))))


def is_pinned(store: Store, run: str, name: CommitName) -> bool:
    """Whether this checkpoint is pinned now."""
    try:
        store.get(layout.pin_key(run, name))
    except KeyNotFound:
        return False
    return True


def remove_checkpoint(store: Store, manifest: Manifest) -> bool:
    """Removes the manifest, then the files; False if a new pin keeps the checkpoint.

    Concurrent calls for the same checkpoint are safe.

    Raises:
        StoreError: something could not be removed.
    """
    run, name = manifest.run, manifest.name
    key = layout.commit_key(run, name)
    store.delete(key)
    if insist(lambda: is_pinned(store, run, name), PUT_BACK_SECONDS):
        insist(lambda: _put_back(store, key, manifest), PUT_BACK_SECONDS)
        return False
    delete_all(store, layout.checkpoint_prefix(run, name))
    return True


def _put_back(store: Store, key: str, manifest: Manifest) -> None:
    try:
        store.create(key, manifest.dump().encode())
    except KeyExists:  # a concurrent removal restored it too
        return


def delete_all(store: Store, prefix: str) -> None:
    """Deletes every key with this prefix."""
    for entry in store.list(prefix):
        store.delete(entry.key)
