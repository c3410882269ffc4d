"""`fintts cloud down` needs the cloud alone: neither the store nor this machine's own files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from cli_project import Shell, write_project
from command_line import invoke
from fake_sky import Cluster, ClusterNotUpError, FakeSky, Job, Status
from fintts_cli.commands.opening import open_workplace
from fintts_cli.infra import NO_SECRETS, Infra
from fintts_cli.infra.labels import labels_of
from fintts_cli.infra.local.local import LocalInfra
from fintts_cli.infra.sky.rentals.record import SkyRecord, write_record
from fintts_cli.infra.sky.sky import SkyInfra
from fintts_cli.infra.this_machine import note_process
from fintts_cli.places import LOCAL
from fintts_cli.runs.journal import JournalEntry
from fintts_cli.workplace.equipment import ANSWERS_WITHIN_SECONDS, Equipment
from fintts_cli.workplace.workplace import Workplace
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.ledger import take_launch
from fintts_store.runs.runs import create_run, read_result
from ledger_samples import LAPTOP_C, asked
from run_samples import record
from silent_server import KINDS, silent_server

NOW = datetime.now(UTC)
RUN = "mine"


IMPATIENT = Equipment(answers_within_seconds=1.0)


def down(*options: str, equipment: Equipment | None = None) -> Result:
    return invoke(["cloud", "down", *options], obj=equipment)


def ask_for(store: str, run: str = RUN, infra: str = LOCAL, **changes: Any) -> None:
    """What the journal says before an instance is created."""
    open_workplace().journal.write(
        JournalEntry(
            run=run,
            infra=infra,
            store=store,
            requested_at=NOW,
            deadline_at=NOW + timedelta(hours=1),
            rates_usd={"H100:1": Decimal("1.20")},
            **changes,
        )
    )


def test_a_run_that_is_still_being_launched_is_said_to_be(
    at_work: LocalInfra, own_folder: Path
) -> None:
    """Its run.json is not there yet, and the process that asks for the instance lives."""
    ask_for(str(own_folder / "store"), asked_by=note_process(os.getppid()))
    found = down(RUN)
    assert found.exit_code == 1, found.output
    assert f"the instance is gone, but the launch of run {RUN} is still under way" in found.stderr
    assert not lives(at_work)


class TakenDown(LocalInfra):
    """Somebody takes the instance down as soon as it is accepted."""

    def launch(self, run: str, task_yaml: str, secrets: Mapping[str, str] = NO_SECRETS) -> None:
        super().launch(run, task_yaml, secrets)
        self.down(run)


def test_a_launch_whose_instance_is_taken_down_at_once_does_not_say_that_it_goes_on(
    own_folder: Path,
) -> None:
    write_project(own_folder)
    tools = Equipment(open_infra=lambda state, _name: TakenDown(state))
    found = invoke(["cloud", "launch", "--name", RUN, "--yes", "--detach"], obj=tools)
    assert found.exit_code == 4, found.output
    assert f"the instance of run {RUN} is already gone" in found.stderr
    assert "keeps running" not in found.stderr


# --- the store ------------------------------------------------------------------------------------


def address(server: str) -> str:
    return f"s3://bucket/speech?endpoint_url={server.replace(':', '%3A').replace('/', '%2F')}"


@pytest.fixture
def at_work(tmp_path: Path, own_folder: Path) -> Iterator[LocalInfra]:
    """An instance of the run on this machine."""
    write_project(own_folder)
    infra = LocalInfra(open_workplace().state)
    (tmp_path / "bundle").mkdir()
    task = {"workdir": str(tmp_path / "bundle"), "envs": {}, "setup": "", "run": "sleep 600"}
    infra.launch(RUN, yaml.safe_dump(task))
    yield infra
    infra.down(RUN)


def lives(infra: LocalInfra) -> bool:
    state = infra.state(RUN)
    return state is not None and state.is_live


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_never_answers_keeps_no_instance(
    at_work: LocalInfra, s3_credentials: None, kind: str
) -> None:
    with silent_server(kind) as server:
        ask_for(address(server))
        began = time.monotonic()
        options = ("--store", "s3://bucket/speech", "--s3-endpoint-url", server)
        ended = down(RUN, *options, equipment=IMPATIENT)
        assert time.monotonic() - began < 20
    assert not lives(at_work)
    assert ended.exit_code == 5, ended.output
    assert "the instance is gone; but s3://bucket/speech" in ended.stderr
    assert "did not answer within 1 s" in ended.stderr
    assert f"run `fintts cloud down {RUN}` again to write it" in ended.stderr


def test_the_process_ends_though_the_store_never_does(
    at_work: LocalInfra, s3_credentials: None, own_folder: Path
) -> None:
    with silent_server("trickles") as server:
        ask_for(address(server))
        began = time.monotonic()
        options = ("--store", "s3://bucket/speech", "--s3-endpoint-url", server)
        ended = Shell(own_folder)("cloud", "down", RUN, *options)
        assert time.monotonic() - began < ANSWERS_WITHIN_SECONDS + 20
    assert not lives(at_work)
    assert ended.returncode == 5, ended.stderr


def test_without_a_name_no_instance_is_taken_for_the_newest_run_s(
    at_work: LocalInfra, s3_credentials: None
) -> None:
    with silent_server("says nothing") as server:
        ask_for(address(server))
        options = ("--store", "s3://bucket/speech", "--s3-endpoint-url", server)
        ended = down(*options, equipment=IMPATIENT)
    assert lives(at_work)
    assert ended.exit_code == 5
    assert "so the newest run is unknown" in ended.stderr
    assert f"launched from here, and maybe still running: {RUN}" in ended.stderr


@pytest.mark.parametrize("broken", ["store: gs://nowhere", "store: [", "stroe: here"])
def test_settings_that_cannot_be_read_keep_no_instance(
    at_work: LocalInfra, own_folder: Path, broken: str
) -> None:
    ask_for(str(own_folder / "store"))
    (own_folder / "fintts.yaml").write_text(broken)
    ended = down(RUN)
    assert not lives(at_work)
    assert ended.exit_code in (1, 5)
    assert "the instance is gone; but" in ended.stderr


def test_one_of_that_name_in_another_store_is_left_alone(
    at_work: LocalInfra, own_folder: Path
) -> None:
    ask_for(str(own_folder / "another"))
    ended = down(RUN, "--store", str(own_folder / "store"))
    assert lives(at_work)
    assert ended.exit_code == 2, ended.output


@pytest.mark.parametrize("typed", ["Mine", "mine.json", " mine"])
def test_a_name_that_no_run_can_have_is_a_slip(
    at_work: LocalInfra, own_folder: Path, typed: str
) -> None:
    create_run(DirectoryStore(own_folder / "store"), record(run=RUN))
    ended = down(typed)
    assert lives(at_work)
    assert ended.exit_code == 2, ended.output
    assert f"there is no run {typed} in" in ended.stderr
    assert "did you mean mine?" in ended.stderr


# --- this machine's files -------------------------------------------------------------------------


@pytest.fixture
def sky(monkeypatch: pytest.MonkeyPatch) -> FakeSky:
    """What rents instead of SkyPilot."""
    sky, real = FakeSky(), Workplace.infra

    def infra(here: Workplace, name: str | None) -> Infra:
        if name == LOCAL:
            return real(here, name)
        return SkyInfra(name or "", here.state, sky.session)

    monkeypatch.setattr(Workplace, "infra", infra)
    return sky


@pytest.fixture
def store(own_folder: Path) -> DirectoryStore:
    store = DirectoryStore(write_project(own_folder) / "store")
    create_run(store, record(run=RUN, infra="aws"))
    return store


@pytest.fixture
def rented(sky: FakeSky, store: DirectoryStore) -> Cluster:
    """The run's cluster, with all that this machine writes down of it."""
    ask_for(store.url, infra="aws")
    sky_record = SkyRecord(run=RUN, cluster="fintts-mine", requested_at=NOW, was_seen=True)
    write_record(open_workplace().state / "sky" / RUN, sky_record)
    cluster = Cluster("fintts-mine", NOW.timestamp())
    sky.clusters += [cluster, Cluster("fintts-mine-too", NOW.timestamp())]
    return cluster


JOURNAL, INSTANCE = "journal/mine.json", "sky/mine/instance.json"


@pytest.mark.parametrize("text", ["", "{", '{"run": "mine"', "\x00" * 300])
@pytest.mark.parametrize("files", [[JOURNAL], [INSTANCE], [JOURNAL, INSTANCE]])
def test_a_damaged_file_keeps_no_instance(
    sky: FakeSky, store: DirectoryStore, rented: Cluster, files: list[str], text: str
) -> None:
    for file in files:
        (open_workplace().state / file).write_text(text)
    ended = down(RUN)
    assert rented.ended is not None
    assert "down fintts-mine-too" not in sky.calls
    assert ended.exit_code == 0, ended.output
    for file in files:
        assert f"warning: {open_workplace().state / file} cannot be read" in ended.stderr
    assert read_result(store, RUN) is not None
    assert down(RUN).exit_code == 0


@pytest.mark.parametrize("damaged", [False, True])
def test_a_cluster_of_another_s_launch_is_left_alone(
    sky: FakeSky, store: DirectoryStore, rented: Cluster, *, damaged: bool
) -> None:
    """SkyPilot's server may be several laptops', which call the run's cluster the same."""
    first, second = NOW + timedelta(hours=1), NOW + timedelta(hours=9)
    folder = open_workplace().state / "sky" / RUN
    (folder / "task.yaml").write_text(
        yaml.safe_dump({"resources": {"use_spot": False, "labels": labels_of(RUN, first)}})
    )
    label = first.replace(microsecond=0)
    if damaged:
        (open_workplace().state / INSTANCE).write_text("{")
    else:
        mine = SkyRecord(run=RUN, cluster="fintts-mine", requested_at=NOW, deadline_at=label)
        write_record(folder, mine)
    rented.labels = labels_of(RUN, second)
    theirs = asked(
        launch=2, run=RUN, asker=LAPTOP_C, requested_at=NOW, deadline_at=second, infra="aws"
    )
    take_launch(store, theirs)
    ended = down(RUN)
    assert rented.ended is None
    assert ended.exit_code == 4, ended.output
    assert f"{LAPTOP_C.host} launched it" in ended.stderr
    assert read_result(store, RUN) is None
    rented.labels = labels_of(RUN, first)
    write_record(
        folder,
        SkyRecord(run=RUN, cluster="fintts-mine", requested_at=NOW, deadline_at=label),
    )
    down(RUN)
    assert rented.ended is not None, "its own is removed"


def test_a_record_that_is_missing_keeps_no_instance(store: DirectoryStore, rented: Cluster) -> None:
    (open_workplace().state / INSTANCE).unlink()
    ended = down(RUN)
    assert rented.ended is not None
    assert ended.exit_code == 0, ended.output


def test_a_job_is_found_by_its_name(sky: FakeSky, store: DirectoryStore, rented: Cluster) -> None:
    """The name ends with a moment that only the damaged file knew."""
    sky.clusters.clear()
    sky.managed_jobs += [
        Job(1, "fintts-mine-19ab", Status("RUNNING")),
        Job(2, "fintts-mine-too-19ab", Status("RUNNING")),
    ]
    (open_workplace().state / INSTANCE).write_text("{")
    ended = down(RUN)
    assert ended.exit_code == 0, ended.output
    assert [job.status.value for job in sky.managed_jobs] == ["CANCELLED", "RUNNING"]


def test_who_could_not_be_asked_is_no_proof_that_nothing_lives(
    sky: FakeSky, store: DirectoryStore, rented: Cluster
) -> None:
    (open_workplace().state / INSTANCE).write_text("{")
    sky.no_controller = ClusterNotUpError("Failed to connect to jobs controller.", "UP")
    ended = down(RUN)
    assert rented.ended is not None
    assert ended.exit_code == 4, ended.output
    assert "an instance of run mine may be billing" in ended.stderr
    assert read_result(store, RUN) is None
