"""The commit protocol: upload, verify, check the claim, then write the manifest. The checkpoint is
committed when the manifest is in the store, and not before."""

import hashlib
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fintts_store import layout
from fintts_store.checkpoints.manifest import (
    Manifest,
    ManifestFile,
    Tombstone,
    largest_first,
    load_commit,
)
from fintts_store.checkpoints.removal import delete_all, pins_among, remove_checkpoint
from fintts_store.checkpoints.retention import plan_retention
from fintts_store.disk.digest import sha256_of
from fintts_store.disk.errors import explained
from fintts_store.errors import (
    CheckpointCorrupt,
    Fenced,
    InvalidKey,
    InvalidRecord,
    KeyExists,
    KeyNotFound,
    NewerRecord,
    StoreError,
    StoreUnreachable,
)
from fintts_store.file_names import CHECKPOINT, odd_in_checkpoint
from fintts_store.layout import CommitName
from fintts_store.parallel import SMALL_AT_ONCE, in_parallel
from fintts_store.runs.claims import highest_claim, refuse_taken_over
from fintts_store.store import Store

ID_DIGITS = 8


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """The fields of a manifest other than its files."""

    step: int
    config_digest: str
    base_model_digest: str
    monitor: str
    mode: Literal["min", "max"]
    value: float | None
    """of the monitor at this step; None without a validation check"""


def _refuse(_name: CommitName, error: StoreError) -> None:
    raise error


Known = dict[CommitName, Manifest | None]
"""Manifests read before; None for a tombstone. Neither ever changes"""


def list_manifests(
    store: Store,
    run: str,
    *,
    on_unreadable: Callable[[CommitName, StoreError], None] = _refuse,
    known: Known | None = None,
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
        f"{store.url}/{layout.commit_key(run, name)} is of claim {name.claim}, which no instance "
        "has taken",
        "it was put there by hand: delete it",
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


class Committer:
    """Commits checkpoints of one run under one claim, and rotates older ones away."""

    def __init__(
        self, store: Store, run: str, claim: int, *, keep_last: int, keep_best: bool
    ) -> None:
        self._store, self._run, self._claim = store, run, claim
        self._keep_last, self._keep_best = keep_last, keep_best
        self._known: Known = {}
        self.resume_point: str | None = None
        """id of the checkpoint that this claim resumed from; it is never rotated away"""

    def commit(self, directory: Path, facts: CheckpointFacts) -> Manifest:
        """Uploads a finished folder and commits it. It is safe to call again after an error.

        Raises:
            Fenced: a newer claim has taken the run over; the folder stays.
            StoreError: nothing was committed, or that is unknown; call again.
        """
        files = _describe(directory)
        name = CommitName(self._claim, facts.step, _id_of(files))
        prefix = layout.checkpoint_prefix(self._run, name)
        in_parallel(
            lambda file, _stop: self._store.put(prefix + file.name, directory / file.name),
            largest_first(files),
        )
        self._verify(prefix, files)
        refuse_taken_over(self._store, self._run, self._claim)
        manifest = Manifest(
            run=self._run,
            claim=self._claim,
            step=facts.step,
            id=name.id,
            created_at=datetime.now(UTC),
            config_digest=facts.config_digest,
            base_model_digest=facts.base_model_digest,
            monitor=facts.monitor,
            mode=facts.mode,
            value=facts.value,
            files=files,
        )
        return self._put_manifest(manifest)

    def rotate(self) -> list[Manifest]:
        """Removes the checkpoints that retention does not keep and that are not pinned.

        Leaves an unreadable manifest and its files alone, and reports it at the end. Removes
        nothing once a newer claim is taken: only that claim knows what it resumes from. Ignores a
        commit whose claim was never taken. Keeps pinned checkpoints.

        Raises:
            StoreError: something could not be read or removed; kept checkpoints are untouched.
        """
        unreadable: list[StoreError] = []
        if highest_claim(self._store, self._run) != self._claim:
            return []
        keys = [entry.key for entry in self._store.list(layout.commits_prefix(self._run))]
        names = [name for name in commits_among(self._run, keys) if name.claim <= self._claim]
        plan = plan_retention(
            list_manifests(
                self._store,
                self._run,
                on_unreadable=lambda _, error: unreadable.append(error),
                known=self._known,
                names=names,
            ),
            keep_last=self._keep_last,
            keep_best=self._keep_best,
            resume_point=self.resume_point,
            pinned=pins_among(self._run, keys),
        )
        removed = [manifest for manifest in plan.remove if remove_checkpoint(self._store, manifest)]
        if unreadable:
            raise unreadable[0]
        return removed

    def _verify(self, prefix: str, files: tuple[ManifestFile, ...]) -> None:
        found = {entry.key: entry.size_bytes for entry in self._store.list(prefix)}
        wrong = [f.name for f in files if found.get(prefix + f.name) != f.size_bytes]
        if wrong:
            raise StoreUnreachable(
                f"{', '.join(wrong)} did not arrive whole in {self._store.url}",
                "it is uploaded again",
            )

    def _put_manifest(self, manifest: Manifest) -> Manifest:
        key = layout.commit_key(self._run, manifest.name)
        try:
            self._store.create(key, manifest.dump().encode())
        except KeyExists:
            landed = load_commit(self._store.get(key), key)
            # Our own earlier attempt, whose answer was lost: only the time can differ.
            if landed is not None and landed.files == manifest.files:
                return landed
            raise Fenced(
                f"step {manifest.step} of run {self._run} was closed by a newer instance",
                "the newer instance goes on; this one's last checkpoint stays on its disk",
            ) from None
        return manifest


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


def _describe(directory: Path) -> tuple[ManifestFile, ...]:
    """The files of a checkpoint's folder. Raises CheckpointCorrupt for anything but files."""
    try:
        with explained(directory):
            return _describe_all(directory, sorted(directory.iterdir()))
    except FileNotFoundError as error:
        raise CheckpointCorrupt(
            f"the checkpoint in {directory} is not there any more: {error.filename}",
            "see what else removes files there",
        ) from error


def _describe_all(directory: Path, paths: list[Path]) -> tuple[ManifestFile, ...]:
    odd = [path.name for path in paths if not stat.S_ISREG(path.lstat().st_mode)]
    if odd or not paths:
        what = f"{', '.join(odd)}, which is no plain file" if odd else "no file"
        raise CheckpointCorrupt(f"the checkpoint in {directory} holds {what}")
    if unknown := odd_in_checkpoint(path.name for path in paths):
        raise CheckpointCorrupt(
            f"the checkpoint in {directory} holds {', '.join(map(repr, unknown))}",
            f"a checkpoint has no other files than {', '.join(sorted(CHECKPOINT))}",
        )
    sizes = {path: path.stat().st_size for path in paths}
    digests: dict[Path, str] = {}

    def hash_one(path: Path, _stop: threading.Event) -> None:
        digests[path] = sha256_of(path)

    in_parallel(hash_one, sorted(paths, key=lambda path: -sizes[path]))
    return tuple(
        ManifestFile(name=path.name, size_bytes=sizes[path], sha256=digests[path]) for path in paths
    )


def _id_of(files: tuple[ManifestFile, ...]) -> str:
    """An id from the content, so that a repeated attempt writes the same keys."""
    text = "".join(f"{file.name}:{file.sha256}\n" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]
