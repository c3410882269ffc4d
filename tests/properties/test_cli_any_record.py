"""Whatever lies under the key of a record, in the store or on this machine: the commands that read
it say so, and go on, in little memory."""

from __future__ import annotations

import json
import resource
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from typer.testing import Result

import hostile_stores
from command_line import invoke
from fake_equipment import equipment_with
from fake_sky import Cluster, FakeSky, Job, Status
from fintts_cli.commands.opening import open_workplace
from fintts_cli.infra import InstancePhase, Span
from fintts_cli.infra.local.record import InstanceFile, write_instance
from fintts_cli.infra.sky.rentals.record import SkyRecord, write_record
from fintts_cli.infra.this_machine import fate_here, this_origin
from fintts_cli.runs.journal import Journal, JournalEntry
from fintts_store.backends.directory import DirectoryStore
from fintts_store.disk.digest import sha256_of
from fintts_store.errors import InvalidRecord
from fintts_store.probes.promise import require_promise
from fintts_store.runs.ledger import take_launch, write_sighting
from fintts_store.runs.noted_process import Fate, NotedProcess
from fintts_store.runs.runs import request_stop
from fintts_store.upkeep.pruning import pin
from fuzzing import examples
from ledger_samples import asked, gone, up
from released_shapes import S1_MINI
from run_samples import START

EXAMPLES, PARTS = examples(800), 4
"""in all, in so many tests, so that they share the processes"""
MEMORY_BYTES = 300 * 2**20
BAD = hostile_stores.BAD
JOB = f"fintts-{BAD}-18f"
COMMANDS = (
    "cloud ps",
    "cloud ps --json",
    "cloud watch bad",
    "cloud report bad",
    "cloud report bad --json",
    "cloud report bad --html report.html",
    "cloud compare bad good",
    "cloud logs bad",
    "cloud stop bad",
    "cloud down bad",
    "cloud reap --dry-run",
    "cloud reap --yes --json",
    "cloud prune bad --dry-run",
    "cloud prune bad --yes --json",
    "cloud pin bad 100",
    "cloud unpin bad 200",
    "cloud pull-checkpoints bad --to pulled",
    "cloud pull-checkpoints bad --best --json --to pulled",
    "export bad --format peft --to exported",
    "store check",
    "store check --json --read-data",
)

WILD = st.one_of(
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["1e999999", "-5", "NaN", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "../x", "good"]
    ),
    st.none(),
    st.booleans(),
    st.just([]),
    st.just({}),
)
JSON = st.recursive(
    WILD, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=12
)


class Saved(NamedTuple):
    """A file as it was in the beginning."""

    content: bytes
    version: tuple[int, ...]


def version_of(path: Path) -> tuple[int, ...]:
    """Another one after every write, within the clock of the file system."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@dataclass
class Place:
    """A store and a machine's state, as files that come back."""

    folder: Path
    bad: hostile_stores.Bad
    sky: FakeSky
    records: Mapping[str, Path]
    """one of each kind"""
    saved: dict[Path, Saved]

    def back(self) -> None:
        """Everything that commands read is again as it was."""
        self.sky.clusters[:] = [Cluster(f"fintts-{BAD}", START.timestamp())]
        self.sky.managed_jobs[:] = [Job(1, JOB, Status("SUCCEEDED"), "DONE", START.timestamp())]
        there = {path: version_of(path) for path in self._files()}
        for path in there.keys() - self.saved.keys():
            path.unlink()
        for path, saved in self.saved.items():
            if there.get(path) != saved.version:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(saved.content)
                self.saved[path] = saved._replace(version=version_of(path))

    def content(self, path: Path) -> bytes:
        """What it held in the beginning; nothing if there was no such file."""
        return self.saved[path].content if path in self.saved else b""

    def save(self) -> None:
        """Takes what is there for the beginning."""
        for path in self._files():
            self.saved[path] = Saved(path.read_bytes(), version_of(path))

    def _files(self) -> Iterator[Path]:
        for root in (self.bad.store, self.folder / "state", self.folder / "exported"):
            yield from (path for path in root.rglob("*") if path.is_file())


def state_of(folder: Path, store: DirectoryStore) -> None:
    """What this machine remembers of a run that SkyPilot has an instance of."""
    entry = JournalEntry(
        run=BAD,
        infra="aws",
        store=store.url,
        requested_at=START,
        deadline_at=START + timedelta(hours=1),
        rates_usd={"A100-80GB:1": Decimal("1.20")},
        launch=1,
        pid=1,
    )
    Journal(folder / "state/journal").write(entry)
    span = Span(began=START, ended=START + timedelta(minutes=9), gpus="A100-80GB:1")
    asker = NotedProcess(pid=1, started_at=1.0)
    sky = SkyRecord(
        run=BAD,
        cluster=f"fintts-{BAD}",
        job=JOB,
        requested_at=START,
        asked_by=asker,
        spans=(span,),
    )
    write_record(folder / f"state/sky/{BAD}", sky)
    agent = InstanceFile(
        run=BAD,
        agent_pid=1,
        agent_started=1,
        boot_id="of an earlier start of this machine",
        phase=InstancePhase.RUNNING,
        created_at=START,
    )
    write_instance(folder / f"state/instances/{BAD}", agent)
    (folder / f"state/instances/{BAD}/log.txt").write_text("it said this\n")
    open_workplace().laptop(make=True)


def store_of(store: DirectoryStore, folder: Path) -> hostile_stores.Bad:
    """Two runs that have ended, with every record that a run can have."""
    require_promise(store, single_writer=False)
    hostile_stores.healthy(store, folder, hostile_stores.GOOD)
    bad = hostile_stores.Bad(store.root, hostile_stores.healthy(store, folder, BAD))
    (config,) = store.root.glob("base_models/*/config.json")
    config.write_text(json.dumps(S1_MINI))
    file = {"name": config.name, "size_bytes": config.stat().st_size, "sha256": sha256_of(config)}
    bad.change("run.json", base_model__files=[file])
    take_launch(store, asked(1, run=BAD))
    for seen in (up(START), gone(START + timedelta(minutes=30))):
        write_sighting(store, seen.model_copy(update={"run": BAD}))
    request_stop(store, BAD, "a test")
    pin(store, BAD, 100)
    return bad


def records_of(folder: Path, bad: hostile_stores.Bad) -> dict[str, Path]:
    """One file of every kind that is read."""
    run, state = bad.run, folder / "state"
    (up_file,) = run.glob("ledger/000001/up-*")
    (gone_file,) = run.glob("ledger/000001/gone-*")
    (pin_file,) = run.glob("commits/*.pin")
    (known,) = (state / "stores").iterdir()
    (log,) = run.glob("logs/*")
    (base_model,) = bad.store.glob("base_models/*/config.json")
    return {
        **{name: run / name for name in ("run.json", "status.json", "result.json", "stop.json")},
        "manifest": bad.manifest,
        "pin": pin_file,
        "metrics": run / "metrics/000001-000000.jsonl",
        "claim": run / "claims/000001",
        "revision": run / "revisions/000001.json",
        "asked": run / "ledger/000001/asked.json",
        "up": up_file,
        "gone": gone_file,
        "log": log,
        "adapter_config": bad.checkpoint / "adapter_config.json",
        "base model": base_model,
        "promise": bad.store / "promise.json",
        "marker": bad.store / ".fintts-store",
        "journal": state / f"journal/{BAD}.json",
        "sky": state / f"sky/{BAD}/instance.json",
        "instance": state / f"instances/{BAD}/instance.json",
        "local log": state / f"instances/{BAD}/log.txt",
        "laptop": state / "laptop-id",
        "known store": known,
        "export": folder / "exported/fintts_export.json",
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("any")
    sky = FakeSky()

    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.setenv("FINTTS_STATE_DIR", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        saved = folder / "saved"
        saved.mkdir()
        store = DirectoryStore(folder / "store")
        state_of(folder, store)
        bad = store_of(store, saved)
        made = fintts("export bad --format peft --to exported", store.root, sky)
        assert made.exit_code == 0, made.output
        here = Place(folder, bad, sky, records_of(folder, bad), {})
        here.save()
        yield here


def fintts(command: str, store: Path, sky: FakeSky) -> Result:
    place = [str(store)] if command.startswith("store ") else ["--store", str(store)]
    return invoke([*command.split(), *place], obj=equipment_with(sky))


@st.composite
def contents(draw: st.DrawFn, was: bytes) -> bytes:
    """Random bytes, random JSON, or the right shape with wild values."""
    kind = draw(st.sampled_from(["bytes", "json", "shape", "shape", "shape"]))
    if kind == "bytes":
        return draw(st.binary(max_size=200))
    if kind == "json" or not was:
        return json.dumps(draw(JSON)).encode()
    try:
        content = json.loads(was.splitlines()[0])
    except ValueError:  # a text
        content = None
    if not isinstance(content, dict) or not content:
        return json.dumps(draw(JSON)).encode()
    for _ in range(draw(st.integers(1, 3))):
        place = content
        while True:
            key = draw(st.sampled_from(sorted(place)))
            if not isinstance(place[key], dict) or not place[key] or draw(st.booleans()):
                break
            place = place[key]
        place[key] = draw(WILD)
    return json.dumps(content).encode()


def took_it_well(found: Result, told: object) -> None:
    assert found.exception is None or isinstance(found.exception, SystemExit), (told, found)
    assert found.exit_code in {0, 1, 2, 4, 5}, (told, found.output)
    assert not hostile_stores.CONTROL.search(found.output), told


MAY_HIDE_ALL = ("known store", "marker")
"""they say whether the folder is the store at all"""


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_record_takes_a_command_away(place: Place, part: int) -> None:
    """Each part draws its own examples: without a seed all parts would draw the same on CI, where
    Hypothesis derives the examples from the test's source."""

    @seed(part)
    @settings(max_examples=EXAMPLES // PARTS, suppress_health_check=[HealthCheck.too_slow])
    @given(data=st.data(), command=st.sampled_from(COMMANDS))
    def goes_on(data: st.DataObject, command: str) -> None:
        take_one(place, data, command)

    goes_on()


def take_one(place: Place, data: st.DataObject, command: str) -> None:
    """Raises AssertionError if a record takes the command away."""
    record = data.draw(st.sampled_from(sorted(place.records)))
    path = place.records[record]
    place.back()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.draw(contents(place.content(path))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with hostile_stores.within(60):
        found = fintts(command, place.bad.store, place.sky)
    took_it_well(found, (record, command))
    if command.startswith("cloud ps") and record not in MAY_HIDE_ALL:
        assert "good" in found.stdout, (record, found.output)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib * 1024 < MEMORY_BYTES


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_of_gigabytes_is_read(place: Place, command: str) -> None:
    """Each file in its turn has 3 GB that take no space; Python's memory is measured."""
    for record, path in place.records.items():
        place.back()
        hostile_stores.sparse(path, hostile_stores.HUGE_BYTES)
        tracemalloc.start()
        try:
            with hostile_stores.within(60):
                found = fintts(command, place.bad.store, place.sky)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            path.unlink()
        took_it_well(found, (record, command))
        assert peak_bytes < MEMORY_BYTES, (record, command, peak_bytes)


@given(content=WILD, ticks=st.none() | WILD)
def test_whoever_asks_is_a_process_or_damage(content: object, ticks: object) -> None:
    """Its number comes from a file."""
    mine = this_origin()._asdict()
    text = json.dumps(mine | {"pid": content, "started_at": content, "started_ticks": ticks})
    try:
        asker = NotedProcess.load(text)
    except InvalidRecord:
        return
    assert fate_here(asker) in set(Fate)
