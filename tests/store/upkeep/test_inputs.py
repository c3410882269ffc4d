"""What runs read: what is missing, damaged or named by nobody is told, each input once."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from checks import every
from fintts_store import layout
from fintts_store.errors import StoreUnreachable
from fintts_store.network.parallel import AT_ONCE
from fintts_store.runs.run_record import AdapterRef, BaseModelRef, DatasetRef, FileRef, RunRecord
from fintts_store.runs.runs import create_run
from fintts_store.store import Entries, Store
from fintts_store.upkeep import byte_check
from fintts_store.upkeep.byte_check import read_inputs
from fintts_store.upkeep.faults import Fault, Kind
from fintts_store.upkeep.survey import survey_store
from memory_store import CountingStore, MemoryStore
from run_samples import record

MODEL = {"config.json": b"{}", "model.pth": b"weights" * 100, "tokenizer.json": b"[]"}
ADAPTER = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"adapter" * 10}
AGAIN = "launch again with the same files to upload it"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files(content: dict[str, bytes]) -> tuple[FileRef, ...]:
    return tuple(
        FileRef(name=name, size_bytes=len(data), sha256=sha256(data))
        for name, data in content.items()
    )


def described(run: str, data: bytes, *, adapter: bool = False) -> RunRecord:
    model_digest, adapter_digest = sha256(b"model"), sha256(b"adapter")
    return record(
        run=run,
        dataset=DatasetRef(
            key=layout.dataset_key(sha256(data)),
            sha256=sha256(data),
            size_bytes=len(data),
            utterances=1,
            frames=1,
        ),
        base_model=BaseModelRef(
            name="tiny",
            prefix=layout.base_model_prefix(model_digest),
            digest=model_digest,
            files=files(MODEL),
        ),
        initial_adapter=AdapterRef(
            name="first",
            prefix=layout.adapter_prefix(adapter_digest),
            weights_sha256="",
            files=files(ADAPTER),
        )
        if adapter
        else None,
    )


def launch(
    store: Store, run: str = "one", data: bytes = b"speech", *, adapter: bool = False
) -> RunRecord:
    """What a launch leaves in the store before the instance starts."""
    one = described(run, data, adapter=adapter)
    upload(store, one, data)
    create_run(store, one)
    return one


def upload(store: Store, one: RunRecord, data: bytes) -> None:
    store.put(one.packed.key, data)
    for name, content in MODEL.items():
        store.put(one.base_model.prefix + name, content)
    if one.initial_adapter is not None:
        for name, content in ADAPTER.items():
            store.put(one.initial_adapter.prefix + name, content)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def told(faults: tuple[Fault, ...] | list[Fault]) -> list[tuple[str, str]]:
    return [(fault.place, fault.sentence) for fault in faults]


# --- by name and size -----------------------------------------------------------------------------


def test_an_empty_store_has_neither_inputs_nor_faults(store: MemoryStore) -> None:
    found = survey_store(store)
    assert (found.inputs, found.faults) == ((), ())


def test_what_several_runs_read_is_there_once(store: MemoryStore) -> None:
    shared = launch(store, "one")
    launch(store, "two")
    other = launch(store, "three", b"other speech", adapter=True)
    found = survey_store(store)
    assert found.faults == ()
    assert {one.place: one.runs for one in found.inputs} == {
        shared.packed.key: ("one", "two"),
        other.packed.key: ("three",),
        shared.base_model.prefix: ("one", "three", "two"),
        other.initial_adapter.prefix if other.initial_adapter else "": ("three",),
    }
    assert sum(one.size_bytes for one in found.inputs) == 6 + 12 + 704 + 72


def test_what_is_missing_or_cut_short_keeps_the_run_from_training(store: MemoryStore) -> None:
    one = launch(store, adapter=True)
    assert one.initial_adapter is not None
    store.delete(one.packed.key)
    model, adapter = one.base_model.prefix, one.initial_adapter.prefix
    store.delete(model + "config.json")
    store.put(model + "model.pth", b"weights")
    for name in ADAPTER:
        store.delete(adapter + name)
    found = survey_store(store)
    keeps = f"run one cannot continue; {AGAIN}"
    assert told(found.faults) == [
        (adapter, f"it is missing, so {keeps}"),
        (model + "config.json", f"it is missing, so {keeps}"),
        (model + "model.pth", f"it has 7 bytes instead of 700, so {keeps}"),
        (one.packed.key, f"it is missing, so {keeps}"),
    ]
    assert {(fault.kind, fault.run) for fault in found.faults} == {(Kind.INPUT, "one")}
    assert not any(fault.is_harmless for fault in found.faults)
    assert found.inputs == ()


@pytest.mark.parametrize(
    ("count", "whom"),
    [(1, "run r1"), (2, "runs r1 and r2"), (3, "runs r1, r2 and r3"), (5, "runs r1, r2, r3 and 2")],
)
def test_one_fault_names_all_whom_it_keeps(store: MemoryStore, count: int, whom: str) -> None:
    for number in range(1, count + 1):
        one = launch(store, f"r{number}")
    store.delete(one.packed.key)
    (fault,) = survey_store(store).faults
    assert fault.sentence.startswith(f"it is missing, so {whom} ")
    assert fault.run == ("r1" if count == 1 else None)


class Late(MemoryStore):
    """Somebody uploads inputs, and launches a run with them just after a prefix was listed."""

    def __init__(self, prefix: str, *, uploads_before: bool) -> None:
        super().__init__()
        self.prefix = prefix
        self.late = described("late", b"speech")
        if uploads_before:
            upload(self, self.late, b"speech")

    def list(self, prefix: str) -> Entries:
        found = super().list(prefix)
        if prefix == self.prefix:
            self.prefix = "never again"
            upload(self, self.late, b"speech")
            create_run(self, self.late)
        return found


@pytest.mark.parametrize("prefix", [*layout.INPUTS, layout.RUNS])
@pytest.mark.parametrize("uploads_before", [True, False])
def test_a_launch_meanwhile_is_no_fault(prefix: str, *, uploads_before: bool) -> None:
    """Neither do its inputs seem missing nor unused, whenever they come."""
    store = Late(prefix, uploads_before=uploads_before)
    assert survey_store(store).faults == ()
    assert survey_store(store).faults == ()


def test_what_no_run_names_is_named_with_its_bytes(store: MemoryStore) -> None:
    launch(store)
    left = described("gone", b"old speech", adapter=True)
    upload(store, left, b"old speech")
    store.put("base_models/by-hand/notes/mine.txt", b"1234")
    found = survey_store(store)
    may_go = "bytes that no run names; you can delete them unless a launch is under way"
    assert left.initial_adapter is not None
    assert told(found.faults) == [
        (left.initial_adapter.prefix, f"72 {may_go}"),
        ("base_models/by-hand/", f"4 {may_go}"),
        (left.packed.key, f"10 {may_go}"),
    ]
    assert {fault.kind for fault in found.faults} == {Kind.UNUSED}
    assert every(fault.is_harmless for fault in found.faults)


@pytest.mark.parametrize("text", [b"{", b"{}", None])
def test_beside_a_run_that_cannot_be_read_nothing_is_called_unused(
    store: MemoryStore, text: bytes | None
) -> None:
    """It may be what that very run reads."""
    launch(store, "one")
    other = launch(store, "two", b"other speech")
    key = layout.run_json_key("two")
    store.put(layout.status_key("two"), b"{}")
    if text is None:
        store.delete(key)
    else:
        store.put(key, text)
    found = survey_store(store)
    assert found.faults == ()
    damaged = [(fault.kind, fault.place) for run in found.runs for fault in run.faults]
    assert damaged == [(Kind.RECORD, key), (Kind.RECORD, layout.status_key("two"))]
    assert other.packed.key not in [one.place for one in found.inputs]


BAD_PLACES = {
    "dataset.key": [
        "../elsewhere",
        "datasets/../runs/one/run.json",
        "/etc/passwd",
        "datasets/.tmp-1",
        "runs/one/run.json",
        "datasets/",
    ],
    "base_model.prefix": ["base_models/../", "base_models/without-end", "adapters/mine/", "/"],
    "initial_adapter.prefix": ["adapters/../../", "base_models/mine/"],
}


@pytest.mark.parametrize(("field", "place"), [(f, p) for f, ps in BAD_PLACES.items() for p in ps])
def test_a_record_that_points_elsewhere_is_damaged(
    store: MemoryStore, field: str, place: str
) -> None:
    one = launch(store, adapter=True)
    content = json.loads(one.dump())
    section, name = field.split(".")
    content[section][name] = place
    store.put(layout.run_json_key("one"), json.dumps(content).encode())
    found = survey_store(store)
    (fault,) = found.runs[0].faults
    assert (fault.kind, fault.place) == (Kind.RECORD, layout.run_json_key("one"))
    assert f"run.json cannot be read: {field}: " in fault.sentence
    assert found.faults == ()


def test_inputs_cost_three_listings_however_many_runs_read_them() -> None:
    for runs in (1, 40):
        store = CountingStore()
        for number in range(runs):
            launch(store, f"r{number}", f"speech {number}".encode(), adapter=True)
        store.listings = store.reads = 0
        assert survey_store(store).faults == ()
        of_runs = 1 + 2 * runs
        """their names; each one's keys and revisions"""
        assert store.listings == len(layout.INPUTS) + of_runs
        assert store.reads == 3 * runs, "run.json, status.json and result.json"


# --- every byte -----------------------------------------------------------------------------------


SOON = 20.0
A_MOMENT = 0.1
"""in which one more would begin"""


class Watched(MemoryStore):
    """Counts what is read, and how much at once; breaks the first reads off in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: Counter[str] = Counter()
        self.breaks = 0
        self.pairs: threading.Barrier | None = None
        """where it is set, nobody reads alone, and all wait for one too many"""
        self._now = 0
        self._counting, self.too_many = threading.Lock(), threading.Event()

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        with self._counting:
            self.streams[key] += 1
            self._now += 1
            if self._now > AT_ONCE:
                self.too_many.set()
        if self.pairs is not None:
            self.pairs.wait(SOON)
            self.too_many.wait(A_MOMENT)
        try:
            data = self.get(key)
            for first in range(start, len(data), 50):
                yield data[first : first + 50]
                if self.breaks:
                    self.breaks -= 1
                    raise StoreUnreachable("the connection broke")
        finally:
            with self._counting:
                self._now -= 1


def test_every_byte_is_read_once_however_many_runs_name_it() -> None:
    store = Watched()
    for number in range(12):
        launch(store, f"r{number}", f"speech {number % 7}".encode(), adapter=True)
    found = survey_store(store)
    store.pairs = threading.Barrier(2)
    came: list[int] = []
    assert read_inputs(store, found.inputs, came.append) == []
    assert sum(came) == sum(one.size_bytes for one in found.inputs)
    assert set(store.streams.values()) == {1}
    assert len(store.streams) == 7 + len(MODEL) + len(ADAPTER)
    assert not store.too_many.is_set(), "a few at a time"


def test_another_content_of_equal_size_is_seen_by_reading_alone() -> None:
    store = Watched()
    one, _ = launch(store, "one"), launch(store, "two")
    key = one.base_model.prefix + "model.pth"
    store.put(key, b"WEIGHTS" * 100)
    found = survey_store(store)
    assert found.faults == ()
    store.streams.clear()
    (fault,) = read_inputs(store, found.inputs)
    assert (fault.kind, fault.place, fault.run) == (Kind.INPUT, key, None)
    assert fault.sentence == (
        f"it differs from run.json, so runs one and two cannot continue; delete it, then {AGAIN}"
    )
    assert store.streams[key] == byte_check.ATTEMPTS, "it may have been wrong on the way alone"


def test_what_vanishes_while_it_is_read_is_missing() -> None:
    store = Watched()
    one = launch(store)
    found = survey_store(store)
    store.delete(one.packed.key)
    (fault,) = read_inputs(store, found.inputs)
    assert told([fault]) == [
        (one.packed.key, f"it is missing, so run one cannot continue; {AGAIN}")
    ]


def test_a_connection_that_breaks_once_is_no_fault() -> None:
    store = Watched()
    launch(store)
    found = survey_store(store)
    store.breaks = 1
    came: list[int] = []
    assert read_inputs(store, found.inputs, came.append) == []
    assert sum(came) == sum(one.size_bytes for one in found.inputs), "no byte is told twice"
    store.breaks = 10_000
    with pytest.raises(StoreUnreachable):
        read_inputs(store, found.inputs)
