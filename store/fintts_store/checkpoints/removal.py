"""Removing committed checkpoints, and the pins that keep a checkpoint from being removed.

A pin is a key beside the manifest, so that the listing of manifests shows the pins as well. Pinning
and removing may meet: who pins writes the pin and then looks whether the manifest is still there;
who removes deletes the manifest and then looks whether there is a pin, and puts the manifest back
if there is. In either order no pin is confirmed whose checkpoint goes. (Unless two
remove the same one and a third pins it, all within a few requests: then one may put back a manifest
whose files the other deletes.)
"""

from collections.abc import Iterable

from fintts_store import layout
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.errors import InvalidKey, KeyExists, KeyNotFound
from fintts_store.layout import CommitName
from fintts_store.retrying import insist
from fintts_store.store import Store

PUT_BACK_SECONDS = 60.0
"""So long it is tried: without its manifest a pinned checkpoint is lost"""


def pins_among(run: str, keys: Iterable[str]) -> frozenset[CommitName]:
    """The checkpoints that are pinned, from a run's keys."""
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
    except InvalidKey:  # not one of ours
        return None


def list_pins(store: Store, run: str) -> frozenset[CommitName]:
    """The checkpoints of a run that are pinned."""
    return pins_among(run, (entry.key for entry in store.list(layout.commits_prefix(run))))


def is_pinned(store: Store, run: str, name: CommitName) -> bool:
    """Whether this very checkpoint is pinned now."""
    try:
        store.get(layout.pin_key(run, name))
    except KeyNotFound:
        return False
    return True


def remove_checkpoint(store: Store, manifest: Manifest) -> bool:
    """Removes the manifest first, then its files; False if it was pinned meanwhile, and stays.

    Several may remove the same one at once.

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
    except KeyExists:  # another who was removing it did the same
        return


def delete_all(store: Store, prefix: str) -> None:
    """Deletes every key with this prefix."""
    for entry in store.list(prefix):
        store.delete(entry.key)
