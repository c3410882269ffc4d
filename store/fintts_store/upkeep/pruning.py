"""What the laptop does to a run's checkpoints: pins one, takes a pin away, removes the others.

It may do so while the run goes on, and while another laptop does the same.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from fintts_store import layout
from fintts_store.checkpoints.commit import (
    backed_by_claims,
    clear_orphan,
    commits_among,
    list_commits,
    list_manifests,
    read_manifest,
)
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.removal import list_pins, pins_among, remove_checkpoint
from fintts_store.checkpoints.retention import Kept, Rule, plan_retention
from fintts_store.errors import CheckpointCorrupt, InvalidRecord, KeyExists, KeyNotFound
from fintts_store.layout import CommitName
from fintts_store.runs.runs import read_status
from fintts_store.store import Store
from fintts_store.upkeep.faults import Fault
from fintts_store.upkeep.survey import Orphan, Snapshot, missing_now, survey_run


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What would stay and what would go, the oldest first; nothing is removed yet."""

    keep: tuple[Kept, ...]
    remove: tuple[Manifest, ...]
    orphans: tuple[Orphan, ...]
    """files that were never committed, and cannot be any more"""
    damaged: tuple[Fault, ...]
    """what is wrong with the run; it is left alone, and does not count as kept"""
    snapshot: Snapshot
    rule: Rule

    @property
    def is_empty(self) -> bool:
        """Whether all may stay as it is."""
        return not self.remove and not self.orphans

    @property
    def kept_bytes(self) -> int:
        """Of all that stays."""
        return sum(kept.manifest.size_bytes for kept in self.keep)

    @property
    def removed_bytes(self) -> int:
        """Of all that goes."""
        of_orphans = sum(orphan.size_bytes for orphan in self.orphans)
        return sum(manifest.size_bytes for manifest in self.remove) + of_orphans


def pin(store: Store, run: str, step: int) -> Manifest:
    """Keeps the checkpoint of a step from being removed, by the run as by anybody.

    Of a step that was committed under two claims the newer one is meant.

    Raises:
        KeyNotFound: there is none, or it was rotated away just now.
        CheckpointCorrupt: its files are not there, so there is nothing to keep.
        InvalidRecord: its manifest is damaged.
    """
    manifest = _newest_of_step(store, run, step)
    if manifest is None:
        raise KeyNotFound(f"run {run} has no checkpoint of step {step}")
    key = layout.pin_key(run, manifest.name)
    with suppress(KeyExists):
        store.create(key, datetime.now(UTC).isoformat().encode())
    try:
        read_manifest(store, run, manifest.name)
    except KeyNotFound:
        store.delete(key)
        raise KeyNotFound(
            f"the checkpoint of step {step} of run {run} was rotated away just now",
            "pin a newer one",
        ) from None
    if sentence := missing_now(store, manifest):
        store.delete(key)
        raise CheckpointCorrupt(
            f"the checkpoint of step {step} of run {run} is damaged: {sentence}",
            "`fintts store check` names those that are whole",
        )
    return manifest


def _newest_of_step(store: Store, run: str, step: int) -> Manifest | None:
    of_step = [name for name in list_commits(store, run) if name.step == step]
    for name in reversed(backed_by_claims(store, run, of_step)):
        with suppress(KeyNotFound):
            manifest = read_manifest(store, run, name)
            if manifest is not None:
                return manifest
    return None


def unpin(store: Store, run: str, step: int) -> bool:
    """Takes the pins of a step away; whether there was one. The next rotation may remove it."""
    names = [name for name in list_pins(store, run) if name.step == step]
    for name in names:
        store.delete(layout.pin_key(run, name))
    return bool(names)


def plan_prune(store: Store, run: str, rule: Rule) -> PrunePlan:
    """Reads what is there, and decides; checkpoints that are not whole do not count.

    Raises:
        StoreError: the store cannot be read.
    """
    found = survey_run(store, run)
    retention = plan_retention(
        found.whole,
        keep_last=rule.keep_last,
        keep_best=rule.keep_best,
        resume_point=_resume_point(store, found.snapshot, found.whole),
        pinned=found.snapshot.pins,
    )
    return PrunePlan(
        keep=retention.keep,
        remove=retention.remove,
        orphans=found.orphans,
        damaged=tuple(fault for fault in found.faults if not fault.is_harmless),
        snapshot=found.snapshot,
        rule=rule,
    )


def _resume_point(store: Store, snapshot: Snapshot, manifests: Collection[Manifest]) -> str | None:
    """What the present claim went on from, as it says; else the newest of the claims before it."""
    try:
        status = read_status(store, snapshot.run)
    except InvalidRecord:
        status = None
    # An instance that was taken over may have written the status last.
    is_present = status is not None and status.claim in (None, snapshot.claim)
    if status is not None and is_present and status.resume_point is not None:
        return status.resume_point
    earlier = [manifest for manifest in manifests if manifest.claim < snapshot.claim]
    newest = max(earlier, key=lambda manifest: manifest.name, default=None)
    return None if newest is None else newest.id


def prune(store: Store, plan: PrunePlan) -> list[CommitName]:
    """Removes what the plan shows, as far as it may still go; returns what went.

    The run may have gone on since, and a checkpoint may have been pinned: nothing goes that
    was not shown, and nothing that is to be kept by now.

    Raises:
        StoreError: something could not be removed; what is kept is untouched.
    """
    run = plan.snapshot.run
    gone = [
        manifest.name
        for manifest in _still_to_go(store, plan)
        if remove_checkpoint(store, manifest)
    ]
    # Claims only grow: what could not be committed any more cannot be now.
    return gone + [
        orphan.name
        for orphan in plan.orphans
        if clear_orphan(store, run, orphan.name, plan.snapshot.claim + 1)
    ]


def _still_to_go(store: Store, plan: PrunePlan) -> list[Manifest]:
    run = plan.snapshot.run
    keys = [entry.key for entry in store.list(layout.commits_prefix(run))]
    shown = {manifest.name: manifest for manifest in plan.remove}
    kept = {kept.manifest.name: kept.manifest for kept in plan.keep}
    # What is damaged counts here as kept, and makes others seem to go: only those shown do.
    manifests = list_manifests(
        store,
        run,
        on_unreadable=lambda _name, _error: None,
        known={**shown, **kept},
        names=backed_by_claims(store, run, commits_among(run, keys)),
    )
    retention = plan_retention(
        manifests,
        keep_last=plan.rule.keep_last,
        keep_best=plan.rule.keep_best,
        resume_point=_resume_point(store, plan.snapshot, manifests),
        pinned=pins_among(run, keys),
    )
    return [manifest for manifest in retention.remove if manifest.name in shown]
