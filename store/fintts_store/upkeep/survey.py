"""Surveys a store: which checkpoints and inputs of runs are complete, and what is left over.

It only reads. A run may commit and rotate at the same time, so an apparent fault is checked a
second time before it is reported.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from fintts_store import layout
from fintts_store.checkpoints.listing import (
    backed_by_claims,
    commits_among,
    of_untaken_claim,
    read_manifest,
)
from fintts_store.checkpoints.manifest import Manifest, of_another_base_model
from fintts_store.checkpoints.removal import pins_among
from fintts_store.errors import InvalidKey, InvalidRecord, InvalidRunName, KeyNotFound, NewerRecord
from fintts_store.layout import CommitName
from fintts_store.network.parallel import SMALL_AT_ONCE, in_parallel
from fintts_store.runs.claims import highest_of, strange_claims
from fintts_store.runs.run_record import RunRecord
from fintts_store.runs.runs import list_runs, read_result, read_run, read_status
from fintts_store.store import Store
from fintts_store.upkeep.faults import Fault, Kind
from fintts_store.upkeep.inputs import (
    Input,
    faults_of,
    inputs_of,
    is_made_up_for,
    list_inputs,
    unused_among,
)

UNTAKEN_CLAIM = "no instance can have taken this claim, so it is ignored; delete it"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A checkpoint folder without a commit."""

    name: CommitName
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run's keys at one moment, from a listing alone."""

    run: str
    commits: tuple[CommitName, ...]
    """manifests and tombstones, the oldest first"""
    files: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """bytes by file name, by checkpoint folder"""
    claim: int = 0
    """the highest"""
    has_ended: bool = False
    pins: frozenset[CommitName] = frozenset()
    strange_claims: tuple[str, ...] = ()
    """keys of claims that no instance can have taken"""

    def is_over(self, claim: int) -> bool:
        """Whether this claim can finish nothing more."""
        return self.has_ended or claim < self.claim


@dataclass(frozen=True, slots=True)
class RunSurvey:
    """A run's complete checkpoints, the oldest first, and its faults."""

    snapshot: Snapshot
    record: RunRecord | None
    """None if missing or unreadable"""
    whole: tuple[Manifest, ...]
    orphans: tuple[Orphan, ...]
    faults: tuple[Fault, ...]

    @property
    def run(self) -> str:
        """The run's name."""
        return self.snapshot.run


@dataclass(frozen=True, slots=True)
class StoreSurvey:
    """The contents of a store; `faults` are those outside of `runs`."""

    runs: tuple[RunSurvey, ...]
    inputs: tuple[Input, ...]
    """complete inputs of runs, sorted by place"""
    faults: tuple[Fault, ...]


def survey_store(store: Store) -> StoreSurvey:
    """Surveys every run, their inputs, and interrupted uploads.

    The inputs take three listings, and one more for each apparent fault.

    Raises:
        StoreError: the store cannot be read. Damage in it is a fault and not an error.
    """
    there = list_inputs(store)  # first: a launch uploads them before it writes its record
    runs: dict[str, RunSurvey] = {}
    strange: list[Fault] = []
    for run in list_runs(store):
        try:
            runs[run] = survey_run(store, run)
        except InvalidRunName as error:
            strange.append(Fault(Kind.RECORD, f"{layout.RUNS}{run}/", error.message))
    inputs, of_inputs = _look_at_inputs(store, there, list(runs.values()))
    unfinished = [
        Fault(Kind.UNFINISHED, key, "an upload was started but not completed", layout.run_of(key))
        for key in store.unfinished("")
        if not key.startswith(layout.PROBES) and not _may_go_on(key, runs)
    ]
    return StoreSurvey(tuple(runs.values()), inputs, (*of_inputs, *strange, *unfinished))


def _look_at_inputs(
    store: Store, there: dict[str, int], runs: Iterable[RunSurvey]
) -> tuple[tuple[Input, ...], list[Fault]]:
    """The complete inputs, and the faults of the others and of unused ones."""
    records = {one.run: one.record for one in runs}
    named = inputs_of({run: record for run, record in records.items() if record is not None})
    wrong = {one: faults_of(store, one, there) for one in named}
    whole = tuple(one for one in named if not wrong[one] and not is_made_up_for(one, there))
    return whole, [*chain.from_iterable(wrong.values()), *unused_among(store, there, records)]


def _may_go_on(key: str, runs: dict[str, RunSurvey]) -> bool:
    """Whether the upload's run may still finish it; False for an unknown run."""
    run = layout.run_of(key)
    if run is None or run not in runs:
        return False
    snapshot, claim = runs[run].snapshot, layout.claim_of(run, key)
    return not snapshot.is_over(snapshot.claim if claim is None else claim)


def take_snapshot(store: Store, run: str) -> Snapshot:
    """Lists the run's keys once."""
    prefix = layout.run_prefix(run)
    sizes = {entry.key: entry.size_bytes for entry in store.list(prefix)}
    return Snapshot(
        run=run,
        commits=tuple(commits_among(run, sizes)),
        files=_by_folder(run, sizes),
        claim=highest_of(run, sizes),
        has_ended=layout.result_key(run) in sizes,
        pins=pins_among(run, sizes),
        strange_claims=tuple(strange_claims(run, sizes)),
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
    """Reads every manifest of a run, and compares it with the listed files and their sizes.

    Raises:
        StoreError: the store cannot be read. Damage in it is a fault and not an error.
    """
    snapshot = take_snapshot(store, run)
    found_record = _read_record(store, run)
    record = found_record if isinstance(found_record, RunRecord) else None
    digest = None if record is None else record.base_model.digest
    found: dict[CommitName, Manifest | Fault | None] = {}

    def look(name: CommitName, stop: threading.Event) -> None:
        if not stop.is_set():
            found[name] = _look_at(store, snapshot, name, digest)

    in_parallel(look, snapshot.commits, at_once=SMALL_AT_ONCE)
    seen = [found[name] for name in snapshot.commits]
    orphans = _orphans(store, snapshot, found)
    return RunSurvey(
        snapshot=snapshot,
        record=record,
        whole=tuple(one for one in seen if isinstance(one, Manifest)),
        orphans=orphans,
        faults=(
            *([found_record] if isinstance(found_record, Fault) else []),
            *_unreadable(store, run),
            *(one for one in seen if isinstance(one, Fault)),
            *_told(run, orphans),
            *(Fault(Kind.RECORD, key, UNTAKEN_CLAIM, run) for key in snapshot.strange_claims),
        ),
    )


def _read_record(store: Store, run: str) -> RunRecord | Fault:
    try:
        return read_run(store, run)
    except (InvalidRecord, KeyNotFound) as error:
        return Fault(Kind.RECORD, layout.run_json_key(run), error.message, run)


def _unreadable(store: Store, run: str) -> Iterator[Fault]:
    """The faults of the run's heartbeat and result."""
    for key, read in (
        (layout.status_key(run), read_status),
        (layout.result_key(run), read_result),
    ):
        try:
            read(store, run)
        except InvalidRecord as error:
            yield Fault(Kind.RECORD, key, error.message, run)


def _look_at(
    store: Store, snapshot: Snapshot, name: CommitName, base_model_digest: str | None
) -> Manifest | Fault | None:
    """The manifest if its files are there, else the fault; None if there is no checkpoint."""
    run = snapshot.run
    try:
        manifest = read_manifest(store, run, name)
        if manifest is None:
            return None
        _refuse_foreign(store, snapshot, manifest, base_model_digest)
        if not missing_of(manifest, snapshot.files.get(name.text, {})):
            return manifest
        sentence = missing_now(store, manifest)
        if not sentence:
            return manifest
        read_manifest(store, run, name)
    except KeyNotFound:  # rotated away since the listing
        return None
    except NewerRecord as error:
        place = layout.checkpoint_prefix(run, name)
        return Fault(Kind.LATER, place, error.message, run, name.step)
    except InvalidRecord as error:
        return damage(run, name, error.message)
    return damage(run, name, sentence)


def _refuse_foreign(
    store: Store, snapshot: Snapshot, manifest: Manifest, base_model_digest: str | None
) -> None:
    """Raises InvalidRecord if no instance of the run can have committed the checkpoint."""
    run, name = snapshot.run, manifest.name
    # The listing may have returned the claims before this one was taken.
    if name.claim > snapshot.claim and not backed_by_claims(store, run, [name]):
        raise of_untaken_claim(store, run, name)
    if base_model_digest not in (None, manifest.base_model_digest):
        raise of_another_base_model(manifest)


def missing_now(store: Store, manifest: Manifest) -> str:
    """What is missing of a checkpoint now; empty if nothing is."""
    prefix = layout.checkpoint_prefix(manifest.run, manifest.name)
    there = {e.key.removeprefix(prefix): e.size_bytes for e in store.list(prefix)}
    return missing_of(manifest, there)


def damage(run: str, name: CommitName, sentence: str) -> Fault:
    """The fault of a checkpoint that cannot be restored."""
    place = layout.checkpoint_prefix(run, name)
    return Fault(Kind.DAMAGED, place, sentence, run, name.step)


def missing_of(manifest: Manifest, there: dict[str, int]) -> str:
    """What files (bytes by name) lack compared with a manifest; empty if nothing."""
    for file in manifest.files:
        if file.name not in there:
            return f"{file.name} is missing"
        if there[file.name] != file.size_bytes:
            return f"{file.name} has {there[file.name]:,} bytes instead of {file.size_bytes:,}"
    return ""


def _orphans(
    store: Store, snapshot: Snapshot, found: dict[CommitName, Manifest | Fault | None]
) -> tuple[Orphan, ...]:
    """Folders without a manifest, of claims that can no longer write one."""
    orphans: list[Orphan] = []
    for folder, files in sorted(snapshot.files.items()):
        name = _name_of(folder)
        if name is None or not snapshot.is_over(name.claim) or found.get(name) is not None:
            continue
        # Rotation deletes the manifest first and the files a moment later.
        if store.list(layout.checkpoint_prefix(snapshot.run, name)):
            orphans.append(Orphan(name, sum(files.values())))
    return tuple(orphans)


def _name_of(folder: str) -> CommitName | None:
    try:
        return layout.parse_commit_name(f"{folder}.json")
    except InvalidKey:  # not a name that fintts writes
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
