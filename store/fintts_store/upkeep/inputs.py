"""The inputs of runs (data sets, recordings, base models, adapters, codecs, models that measure):
which are complete, and which are unused.

An input lies under the digest of its content, and many runs may share it. This module reads no
file: names and sizes come from one listing of each kind, however many runs there are.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fintts_store import layout
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs.run_record import (
    AdapterRef,
    BaseModelRef,
    CodecRef,
    EvalModelRef,
    RecordingsRef,
    RunRecord,
)
from fintts_store.runs.runs import list_runs, read_run
from fintts_store.store import Store
from fintts_store.upkeep.faults import Fault, Kind

MOST_NAMES = 3
"""of runs in one sentence"""

MISSING = "it is missing"
LAUNCH_AGAIN = "launch again with the same files to upload it"
MAY_GO = "you can delete them unless a launch is under way"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input file, as in the runs' records."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Input:
    """A data set, base model or another input, with the runs that read it, sorted."""

    place: str
    """the key; a folder's ends with `/`"""
    files: tuple[InputFile, ...]
    runs: tuple[str, ...]
    unless: str = ""
    """a key that makes up for missing files: the record of what recordings were encoded into"""

    @property
    def size_bytes(self) -> int:
        """The total size of the files."""
        return sum(file.size_bytes for file in self.files)

    def fault(self, place: str, sentence: str, hint: str) -> Fault:
        """The fault of the whole input, or of its file at `place`, and which runs it blocks."""
        run = self.runs[0] if len(self.runs) == 1 else None
        whom = f"{_in_words(self.runs)} cannot continue; {hint}"
        return Fault(Kind.INPUT, place, f"{sentence}, so {whom}", run)


def _in_words(runs: tuple[str, ...]) -> str:
    if len(runs) == 1:
        return f"run {runs[0]}"
    if len(runs) <= MOST_NAMES:
        return f"runs {', '.join(runs[:-1])} and {runs[-1]}"
    return f"runs {', '.join(runs[:MOST_NAMES])} and {len(runs) - MOST_NAMES} more"


def inputs_of(records: Mapping[str, RunRecord]) -> list[Input]:
    """The inputs of these runs, each once, sorted by place."""
    readers: defaultdict[tuple[str, tuple[InputFile, ...], str], list[str]] = defaultdict(list)
    for run, record in sorted(records.items()):
        for place, files in _named_by(record):
            unless = _encoded_from(record) if place.startswith(layout.RECORDINGS) else ""
            readers[place, files, unless].append(run)
    found = [
        Input(place, files, tuple(runs), unless) for (place, files, unless), runs in readers.items()
    ]
    return sorted(found, key=lambda one: one.place)


def _named_by(record: RunRecord) -> Iterator[tuple[str, tuple[InputFile, ...]]]:
    if (data := record.dataset) is not None:
        yield data.key, (InputFile(data.key, data.size_bytes, data.sha256),)
    if record.recordings is not None:
        yield record.recordings.encoded, ()  # written by instances; no record lists its files
        yield record.recordings.prefix, _recordings_of(record, record.recordings)
    yield record.base_model.prefix, _files_of(record.base_model)
    if record.initial_adapter is not None:
        yield record.initial_adapter.prefix, _files_of(record.initial_adapter)
    if record.codec is not None:
        yield record.codec.prefix, _files_of(record.codec)
    for model in record.eval_models.values():
        yield model.prefix, _files_of(model)


def _encoded_from(record: RunRecord) -> str:
    recordings = record.recordings
    assert recordings is not None, "only such a record names recordings"
    return layout.encoded_commit_key(recordings.encoded, recordings.texts.sha256)


def _recordings_of(record: RunRecord, recordings: RecordingsRef) -> tuple[InputFile, ...]:
    """The files that the run still has to encode; none if it starts from their codes."""
    files = (recordings.texts, *recordings.parts) if record.dataset is None else ()
    return tuple(
        InputFile(recordings.prefix + file.name, file.size_bytes, file.sha256) for file in files
    )


def _files_of(
    reference: BaseModelRef | AdapterRef | CodecRef | EvalModelRef,
) -> tuple[InputFile, ...]:
    return tuple(
        InputFile(reference.prefix + file.name, file.size_bytes, file.sha256)
        for file in reference.files
    )


def list_inputs(store: Store) -> dict[str, int]:
    """The bytes by key of everything among the inputs; one listing of each kind."""
    return {entry.key: entry.size_bytes for kind in layout.INPUTS for entry in store.list(kind)}


def faults_of(store: Store, one: Input, there: Mapping[str, int]) -> list[Fault]:
    """The faults of an input, given the listed bytes by key.

    Lists an apparent fault a second time, since a launch may have uploaded the file by then.
    """
    if not _lacks(one, there) or is_made_up_for(one, there):
        return []
    now = {entry.key: entry.size_bytes for entry in store.list(one.place)}
    return [one.fault(place, why, LAUNCH_AGAIN) for place, why in _lacks(one, now).items()]


def is_made_up_for(one: Input, there: Mapping[str, int]) -> bool:
    """Whether files are missing that no run needs: recordings that are encoded."""
    return one.unless in there and bool(_lacks(one, there))


def _lacks(one: Input, there: Mapping[str, int]) -> dict[str, str]:
    """The reason by place: the whole input, or single files."""
    wrong: dict[str, str] = {}
    for file in one.files:
        size_bytes = there.get(file.key)
        if size_bytes is None:
            wrong[file.key] = MISSING
        elif size_bytes != file.size_bytes:
            wrong[file.key] = f"it has {size_bytes:,} bytes instead of {file.size_bytes:,}"
    if wrong and len(wrong) == len(one.files) and set(wrong.values()) == {MISSING}:
        return {one.place: MISSING}
    return wrong


def unused_among(
    store: Store, there: Mapping[str, int], records: Mapping[str, RunRecord | None]
) -> list[Fault]:
    """What lies among the inputs and no record names; list before you read the records.

    Args:
        records: of every run; None for an unreadable one. Such a run may read anything, so with
            one of them nothing counts as unused.
    """
    if not _unnamed(there, records):
        return []
    since = [run for run in list_runs(store) if run not in records and layout.is_run_name(run)]
    now = {**records, **{run: _record_of(store, run) for run in since}}
    return [
        Fault(Kind.UNUSED, place, f"{size_bytes:,} bytes that no run names; {MAY_GO}")
        for place, size_bytes in sorted(_unnamed(there, now).items())
    ]


def _record_of(store: Store, run: str) -> RunRecord | None:
    try:
        return read_run(store, run)
    except (InvalidRecord, KeyNotFound):
        return None


def _unnamed(there: Mapping[str, int], records: Mapping[str, RunRecord | None]) -> dict[str, int]:
    """The bytes by place."""
    readable = {run: record for run, record in records.items() if record is not None}
    if len(readable) < len(records):
        return {}
    named = {layout.input_place(one.place) for one in inputs_of(readable)}
    sizes: defaultdict[str, int] = defaultdict(int)
    for key, size_bytes in there.items():
        sizes[layout.input_place(key)] += size_bytes
    return {place: size_bytes for place, size_bytes in sizes.items() if place not in named}
