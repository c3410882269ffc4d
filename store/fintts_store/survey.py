"""A look at everything that a run keeps in a store: which checkpoints are whole, what is left over.

It reads, and changes nothing. A run that goes on meanwhile commits and rotates: what seems wrong is
looked at a second time before it is said.
"""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from fintts_store import layout
from fintts_store.claims import highest_of
from fintts_store.commit import commits_among, read_manifest
from fintts_store.errors import (
    CheckpointCorrupt,
    InvalidKey,
    InvalidRecord,
    InvalidRunName,
    KeyNotFound,
    StoreError,
    StoreUnreachable,
)
from fintts_store.layout import CommitName
from fintts_store.manifest import Manifest, ManifestFile, of_another_base_model
from fintts_store.parallel import in_parallel
from fintts_store.records import RunRecord
from fintts_store.removal import pins_among
from fintts_store.runs import list_runs, read_run
from fintts_store.store import Store

_ATTEMPTS = 2


def _nobody_asks(_size_bytes: int) -> None:
    pass


class Kind(StrEnum):
    """What is the matter with something in a store."""

    RECORD = "record"
    """run.json is missing or cannot be read"""
    DAMAGED = "damaged"
    """a checkpoint that cannot be restored"""
    ORPHAN = "orphan"
    """files of a checkpoint that was never committed: they cost, and harm nothing"""
    UNFINISHED = "unfinished"
    """an upload that was begun and has not ended: it costs, and harms nothing"""


HARMLESS = frozenset({Kind.ORPHAN, Kind.UNFINISHED})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it should be; `place` is its key or folder in the store."""

    kind: Kind
    place: str
    sentence: str
    run: str | None = None
    step: int | None = None

    @property
    def is_harmless(self) -> bool:
        """Whether it costs space and nothing else."""
        return self.kind in HARMLESS


@dataclass(frozen=True, slots=True)
class Orphan:
    """A folder of files that no commit names."""

    name: CommitName
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run's keys at one moment, nothing of which was read."""

    run: str
    commits: tuple[CommitName, ...]
    """manifests and tombstones, the oldest first"""
    files: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """bytes by name of file, by folder of a checkpoint"""
    claim: int = 0
    """the highest"""
    has_ended: bool = False
    pins: frozenset[CommitName] = frozenset()

    def is_over(self, claim: int) -> bool:
        """Whether nothing that this claim has begun will be finished."""
        return self.has_ended or claim < self.claim


@dataclass(frozen=True, slots=True)
class RunSurvey:
    """What a run holds: the checkpoints that are whole, the oldest first, and the faults."""

    snapshot: Snapshot
    whole: tuple[Manifest, ...]
    orphans: tuple[Orphan, ...]
    faults: tuple[Fault, ...]

    @property
    def run(self) -> str:
        """Its name."""
        return self.snapshot.run


@dataclass(frozen=True, slots=True)
class StoreSurvey:
    """What a store holds; `faults` are those of no single run."""

    runs: tuple[RunSurvey, ...]
    faults: tuple[Fault, ...]


def survey_store(store: Store) -> StoreSurvey:
    """Surveys every run, and the uploads that were cut off.

    Raises:
        StoreError: the store cannot be read; what is damaged in it is no error but a fault.
    """
    runs: dict[str, RunSurvey] = {}
    faults: list[Fault] = []
    for run in list_runs(store):
        try:
            runs[run] = survey_run(store, run)
        except InvalidRunName as error:
            faults.append(Fault(Kind.RECORD, f"{layout.RUNS}{run}/", error.message))
    faults += [
        Fault(Kind.UNFINISHED, key, "an upload was begun and has not ended", layout.run_of(key))
        for key in store.unfinished("")
        if not key.startswith(layout.PROBES) and not _may_go_on(key, runs)
    ]
    return StoreSurvey(tuple(runs.values()), tuple(faults))


def _may_go_on(key: str, runs: dict[str, RunSurvey]) -> bool:
    """Whether it is an upload of a run that goes on; of others nobody can tell."""
    run = layout.run_of(key)
    if run is None or run not in runs:
        return False
    snapshot, claim = runs[run].snapshot, layout.claim_of(run, key)
    return not snapshot.is_over(snapshot.claim if claim is None else claim)


def take_snapshot(store: Store, run: str) -> Snapshot:
    """Lists the run's keys, once."""
    prefix = layout.run_prefix(run)
    sizes = {entry.key: entry.size_bytes for entry in store.list(prefix)}
    return Snapshot(
        run=run,
        commits=tuple(commits_among(run, sizes)),
        files=_by_folder(run, sizes),
        claim=highest_of(run, sizes),
        has_ended=layout.result_key(run) in sizes,
        pins=pins_among(run, sizes),
    )


def _by_folder(run: str, sizes: dict[str, int]) -> dict[str, dict[str, int]]:
    prefix = layout.checkpoints_prefix(run)
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for key, size_bytes in sizes.items():
        if key.startswith(prefix):
            folder, _, name = key.removeprefix(prefix).partition("/")
            found[folder][name] = size_bytes
    return dict(found)


def survey_run(store: Store, run: str) -> RunSurvey:
    """Reads every manifest of a run, and compares it with the files that are there and their sizes.

    Raises:
        StoreError: the store cannot be read; what is damaged in it is no error but a fault.
    """
    snapshot = take_snapshot(store, run)
    record = _read_record(store, run)
    digest = record.base_model.digest if isinstance(record, RunRecord) else None
    found: dict[CommitName, Manifest | Fault | None] = {}

    def look(name: CommitName, stop: threading.Event) -> None:
        if not stop.is_set():
            found[name] = _look_at(store, snapshot, name, digest)

    in_parallel(look, snapshot.commits)
    seen = [found[name] for name in snapshot.commits]
    orphans = _orphans(store, snapshot, found)
    return RunSurvey(
        snapshot=snapshot,
        whole=tuple(one for one in seen if isinstance(one, Manifest)),
        orphans=orphans,
        faults=(
            *([record] if isinstance(record, Fault) else []),
            *(one for one in seen if isinstance(one, Fault)),
            *_told(run, orphans),
        ),
    )


def _read_record(store: Store, run: str) -> RunRecord | Fault:
    try:
        return read_run(store, run)
    except (InvalidRecord, KeyNotFound) as error:
        return Fault(Kind.RECORD, layout.run_json_key(run), error.message, run)


def _look_at(
    store: Store, snapshot: Snapshot, name: CommitName, base_model_digest: str | None
) -> Manifest | Fault | None:
    """The manifest if its files are there, what is wrong if not; None if there is no checkpoint."""
    run = snapshot.run
    try:
        manifest = read_manifest(store, run, name)
        if manifest is None:
            return None
        if base_model_digest not in (None, manifest.base_model_digest):
            raise of_another_base_model(manifest)
        if not missing_of(manifest, snapshot.files.get(name.text, {})):
            return manifest
        sentence = missing_now(store, manifest)
        if not sentence:
            return manifest
        read_manifest(store, run, name)
    except KeyNotFound:  # rotated away since the listing
        return None
    except InvalidRecord as error:
        return damage(run, name, error.message)
    return damage(run, name, sentence)


def missing_now(store: Store, manifest: Manifest) -> str:
    """What the store lacks of a checkpoint at this moment; empty if nothing."""
    prefix = layout.checkpoint_prefix(manifest.run, manifest.name)
    there = {e.key.removeprefix(prefix): e.size_bytes for e in store.list(prefix)}
    return missing_of(manifest, there)


def damage(run: str, name: CommitName, sentence: str) -> Fault:
    """A checkpoint that cannot be restored, and why."""
    place = layout.checkpoint_prefix(run, name)
    return Fault(Kind.DAMAGED, place, sentence, run, name.step)


def missing_of(manifest: Manifest, there: dict[str, int]) -> str:
    """What a folder with these files, bytes by name, lacks of a manifest; empty if nothing."""
    for file in manifest.files:
        if file.name not in there:
            return f"{file.name} is missing"
        if there[file.name] != file.size_bytes:
            return f"{file.name} has {there[file.name]:,} bytes and not {file.size_bytes:,}"
    return ""


def _orphans(
    store: Store, snapshot: Snapshot, found: dict[CommitName, Manifest | Fault | None]
) -> tuple[Orphan, ...]:
    """Folders without a manifest, of claims that will not write one any more."""
    orphans: list[Orphan] = []
    for folder, files in sorted(snapshot.files.items()):
        name = _name_of(folder)
        if name is None or not snapshot.is_over(name.claim) or found.get(name) is not None:
            continue
        # A rotation deletes a manifest first and its files a moment later.
        if store.list(layout.checkpoint_prefix(snapshot.run, name)):
            orphans.append(Orphan(name, sum(files.values())))
    return tuple(orphans)


def _name_of(folder: str) -> CommitName | None:
    try:
        return layout.parse_commit_name(f"{folder}.json")
    except InvalidKey:  # not one of ours
        return None


def _told(run: str, orphans: Iterable[Orphan]) -> list[Fault]:
    return [
        Fault(
            Kind.ORPHAN,
            layout.checkpoint_prefix(run, orphan.name),
            f"{orphan.size_bytes:,} bytes that were never committed",
            run,
            orphan.name.step,
        )
        for orphan in orphans
    ]


def read_data(
    store: Store, manifest: Manifest, on_bytes: Callable[[int], None] = _nobody_asks
) -> Fault | None:
    """Compares every byte of a checkpoint with its manifest's SHA-256; None if all is well.

    Args:
        on_bytes: is told of the bytes of each file once it was read, from several threads.

    Raises:
        StoreError: the store cannot be read, at the second attempt too.
    """

    def check(file: ManifestFile, stop: threading.Event) -> None:
        if not stop.is_set():
            _check_bytes(store, manifest, file)
            on_bytes(file.size_bytes)

    try:
        in_parallel(check, manifest.files)
    except CheckpointCorrupt as error:
        return damage(manifest.run, manifest.name, error.message)
    except KeyNotFound as error:
        try:
            read_manifest(store, manifest.run, manifest.name)
        except KeyNotFound:  # rotated away meanwhile
            return None
        return damage(manifest.run, manifest.name, error.message)
    return None


def _check_bytes(store: Store, manifest: Manifest, file: ManifestFile) -> None:
    """Reads a second time before it says that a byte is wrong: it may be so on the way alone."""
    key = layout.checkpoint_prefix(manifest.run, manifest.name) + file.name
    trouble: StoreError | None = None
    for _ in range(_ATTEMPTS):
        digest = hashlib.sha256()
        try:
            for chunk in store.stream(key):
                digest.update(chunk)
        except StoreUnreachable as error:
            trouble = error
            continue
        if digest.hexdigest() == file.sha256:
            return
        trouble = CheckpointCorrupt(f"{file.name} differs from what its manifest says")
    if trouble is not None:
        raise trouble
