"""Manages a run's checkpoints from the laptop: pins, unpins and removes them.

All of it is safe during the run, and while another laptop does the same.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from fintts_store import layout
from fintts_store.checkpoints.listing import (
    backed_by_claims,
    commits_among,
    list_commits,
    list_manifests,
    read_manifest,
)
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.orphans import clear_orphan
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
    """What stays and what goes, the oldest first; nothing is removed yet."""

    keep: tuple[Kept, ...]
    remove: tuple[Manifest, ...]
    orphans: tuple[Orphan, ...]
    """files that were never committed, and no longer can be"""
    damaged: tuple[Fault, ...]
    """the run's faults; they are left alone, and do not count as kept"""
    snapshot: Snapshot
    rule: Rule

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not self.remove and not self.orphans

    @property
    def kept_bytes(self) -> int:
        """The bytes that stay."""
        return sum(kept.manifest.size_bytes for kept in self.keep)

    @property
    def removed_bytes(self) -> int:
        """The bytes that go."""
        of_orphans = sum(orphan.size_bytes for orphan in self.orphans)
        return sum(manifest.size_bytes for manifest in self.remove) + of_orphans


def pin(store: Store, run: str, step: int) -> Manifest:
    """Protects the checkpoint of a step from removal, by the run and by any laptop.

    If the step was committed under two claims, pins the newer commit.

    Raises:
        KeyNotFound: there is none, or it was just rotated away.
        CheckpointCorrupt: its files are missing, so there is nothing to keep.
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
            f"the checkpoint of step {step} of run {run} was just rotated away",
            "pin a newer one",
        ) from None
    if sentence := missing_now(store, manifest):
        store.delete(key)
        raise CheckpointCorrupt(
            f"the checkpoint of step {step} of run {run} is damaged: {sentence}",
            "`fintts store check` lists the complete ones",
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
    """Removes the pins of a step; returns whether there was one. Rotation may then remove it."""
    names = [name for name in list_pins(store, run) if name.step == step]
    for name in names:
        store.delete(layout.pin_key(run, name))
    return bool(names)


def plan_prune(store: Store, run: str, rule: Rule) -> PrunePlan:
    """Reads the store and plans; incomplete checkpoints do not count.

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
    """The checkpoint that the current claim resumed from, by its status; else the newest of earlier
    claims."""
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
    """Removes what the plan lists and still may go; returns what was removed.

    The run may have continued since, or a checkpoint been pinned: removes nothing that the plan
    does not list, and nothing that must stay by now.

    Raises:
        StoreError: something could not be removed; kept checkpoints are untouched.
    """
    run = plan.snapshot.run
    gone = [
        manifest.name
        for manifest in _still_to_go(store, plan)
        if remove_checkpoint(store, manifest)
    ]
    # Claims only grow: what could no longer be committed then cannot be now.
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
    # Damaged checkpoints count as kept here and push others out: only listed ones are removed.
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
