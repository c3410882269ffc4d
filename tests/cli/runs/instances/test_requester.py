"""Whether a noted process lives: after a restart, on another machine, with its number reused."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from fake_sky import FakeSky
from fintts_cli.commands.opening import open_workplace
from fintts_cli.errors import CloudError, UsageProblem
from fintts_cli.infra import Infra, InstancePhase, Removed
from fintts_cli.infra.local.local import LocalInfra
from fintts_cli.infra.local.record import INSTANCE_FILE, InstanceFile, write_instance
from fintts_cli.infra.sky.rentals.record import SkyRecord, write_record
from fintts_cli.infra.sky.sky import SkyInfra
from fintts_cli.infra.this_machine import note_process, this_origin
from fintts_cli.launch.resume import refuse_live
from fintts_cli.runs.instances.at_work import AtWork, Whose
from fintts_cli.runs.instances.remove import remove_instance
from fintts_cli.runs.instances.requested import instance_of
from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.journal import Journal, JournalEntry
from fintts_cli.runs.status.merge import view_run
from fintts_cli.runs.status.view import RunView
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.noted_process import Fate, NotedProcess, Origin, fate_of
from fintts_store.runs.records import Phase
from run_samples import record

HERE = Origin("boot 1", "pid:[1]", "machine a", "laptop-a")
NOW = datetime.now(UTC)


def noted(origin: Origin = HERE) -> NotedProcess:
    return NotedProcess(pid=7, started_ticks=70, **origin._asdict())


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize(
    ("there", "fate"),
    [
        (HERE, None),
        (HERE._replace(pid_namespace=None), None),
        (HERE._replace(machine=None, host="renamed"), None),
        (HERE._replace(boot_id=None), None),
        (Origin(host="laptop-a"), None),
        (HERE._replace(boot_id="boot 0"), Fate.ENDED),
        (HERE._replace(pid_namespace="pid:[2]"), Fate.UNKNOWN),
        (HERE._replace(boot_id="boot 9", machine="machine b"), Fate.UNKNOWN),
        (HERE._replace(boot_id="boot 9", machine=None), Fate.UNKNOWN),
        (Origin(boot_id="boot 9"), Fate.UNKNOWN),
        (Origin(host="laptop-b"), Fate.UNKNOWN),
        (Origin(), Fate.UNKNOWN),
    ],
)
def test_a_number_is_believed_where_it_was_noted_alone(
    there: Origin, fate: Fate | None, *, is_there: bool
) -> None:
    of_its_own = Fate.LIVES if is_there else Fate.ENDED
    assert fate_of(noted(there), HERE, lambda _noted: is_there) == (fate or of_its_own)


ELSEWHERE = {"boot_id": "another", "machine": "another", "host": "laptop-b"}
EARLIER_BOOT = {"boot_id": "an earlier one"}
REUSED = {"started_ticks": 1}
OF_OLD = {"boot_id": None, "machine": None, "pid_namespace": None, "host": None}


def ended() -> NotedProcess:
    with subprocess.Popen(["sleep", "60"]) as process:
        gone = note_process(process.pid)
        process.kill()
    return gone


def of_parent(**changes: object) -> NotedProcess:
    """A process that lives, for as long as this one does."""
    return note_process(os.getppid()).model_copy(update=changes)


def entry(store: DirectoryStore, asked_by: NotedProcess | None) -> JournalEntry:
    return JournalEntry(
        run="mine",
        infra="aws",
        store=store.url,
        requested_at=NOW - timedelta(minutes=5),
        deadline_at=NOW + timedelta(hours=1),
        rates_usd={"A100-80GB:1": Decimal("1.20")},
        launch=1,
        pid=asked_by.pid if asked_by else None,
        asked_by=asked_by,
    )


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


@pytest.mark.parametrize("asker", [ended().model_copy(update=ELSEWHERE), of_parent(**OF_OLD), None])
def test_a_launch_on_another_machine_of_the_same_home_is_not_written_as_gone(
    store: DirectoryStore, asker: NotedProcess | None
) -> None:
    journal = Journal(open_workplace().state / "journal")
    journal.write(entry(store, asker))
    view = instance_of(open_workplace(), record(run="mine", infra="aws"), store)
    assert (view.is_live, view.phase, view.seen) == (None, Phase.PROVISIONING, ())
    over = {"requested_at": NOW - timedelta(days=2), "deadline_at": NOW - timedelta(days=1)}
    journal.write(entry(store, asker).model_copy(update=over))
    later = instance_of(open_workplace(), record(run="mine", infra="aws"), store)
    assert (later.is_live, later.seen) == (False, ()), "what it cost stays unknown"


@pytest.mark.parametrize("asker", [of_parent(**REUSED), of_parent(**EARLIER_BOOT), ended()])
def test_a_launch_whose_process_ended_here_is_written_as_gone(
    store: DirectoryStore, asker: NotedProcess
) -> None:
    Journal(open_workplace().state / "journal").write(entry(store, asker))
    view = instance_of(open_workplace(), record(run="mine", infra="aws"), store)
    assert view.is_live is False
    assert [one.at for one in view.seen] == [NOW - timedelta(minutes=5)]


def local_instance(folder: Path, **changes: object) -> Path:
    """An instance whose record says that it runs, with a file of its job."""
    agent = note_process(os.getppid())
    there = folder / "instances" / "mine"
    (there / "workdir").mkdir(parents=True)
    instance = InstanceFile(
        run="mine",
        agent_pid=10**6,
        agent_started=agent.started_ticks or 0,
        phase=InstancePhase.RUNNING,
        created_at=NOW,
        **this_origin()._asdict(),
    )
    write_instance(there, instance.model_copy(update=changes))
    return there


OLD_AND_ANOTHER_BOOT = {**OF_OLD, "boot_id": "another"}


@pytest.mark.parametrize("changes", [ELSEWHERE, OLD_AND_ANOTHER_BOOT, {"pid_namespace": "pid:[2]"}])
def test_an_instance_of_another_machine_is_not_cleared(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    folder = local_instance(tmp_path, **changes)
    written = (folder / INSTANCE_FILE).read_bytes()
    infra = LocalInfra(tmp_path)
    state = infra.state("mine")
    assert state is not None
    assert state.phase == InstancePhase.RUNNING
    with pytest.raises(CloudError, match="this machine cannot tell whether"):
        infra.down("mine")
    with pytest.raises(CloudError, match="has a live instance"):
        infra.launch("mine", "")
    assert (folder / "workdir").is_dir()
    assert (folder / INSTANCE_FILE).read_bytes() == written


@pytest.mark.parametrize("changes", [{}, EARLIER_BOOT])
def test_an_instance_that_ended_here_is_cleared(tmp_path: Path, changes: dict[str, object]) -> None:
    folder = local_instance(tmp_path, **changes)
    state = LocalInfra(tmp_path).state("mine")
    assert state is not None
    assert not state.is_live
    assert not (folder / "workdir").exists()


def test_a_torn_record_of_which_nothing_is_found_here_is_not_cleared(tmp_path: Path) -> None:
    folder = local_instance(tmp_path)
    (folder / INSTANCE_FILE).write_text('{"run": "mine", "agent_p')
    state = LocalInfra(tmp_path).state("mine")
    assert state is not None
    assert state.is_live
    assert (folder / "workdir").is_dir()


@pytest.mark.parametrize(("is_elsewhere", "is_live"), [(True, True), (False, False)])
def test_what_another_machine_asks_skypilot_for_may_come_until_its_deadline(
    tmp_path: Path, *, is_elsewhere: bool, is_live: bool
) -> None:
    sky = FakeSky()
    asker = ended().model_copy(update=ELSEWHERE if is_elsewhere else {})
    asked = SkyRecord(
        run="mine",
        cluster="fintts-mine",
        requested_at=NOW - timedelta(minutes=30),
        deadline_at=NOW + timedelta(minutes=30),
        asked_by=asker,
    )
    write_record(tmp_path / "sky" / "mine", asked)
    state = SkyInfra("aws", tmp_path, sky.session).state("mine")
    assert state is not None
    assert state.is_live == is_live


def launched_by(asker: NotedProcess | None) -> RunView:
    """A run that this laptop's folder says was launched, and of which nothing is seen yet."""
    over_at = NOW + timedelta(hours=1)
    at_work = AtWork(Whose.MINE, launch=1, host="laptop-b", over_at=over_at, asked_by=asker)
    return view_run(record(infra="aws"), None, None, InstanceView(), NOW, at_work=at_work)


@pytest.mark.parametrize(
    ("asker", "said"),
    [
        (of_parent(), f"process {os.getppid()} of this laptop is launching run kalevala-1"),
        (of_parent(**ELSEWHERE), "a process on laptop-b, not visible from here, may be"),
        (NotedProcess(pid=1, host="laptop-c"), "a process on laptop-c, not visible from here"),
        (None, "a process on laptop-b, not visible from here"),
    ],
)
def test_a_run_that_may_be_being_launched_is_not_launched_again(
    asker: NotedProcess | None, said: str
) -> None:
    with pytest.raises(UsageProblem, match=said):
        refuse_live(launched_by(asker))


def test_a_run_whose_launch_was_cut_here_is_launched_again() -> None:
    for asker in (ended(), of_parent(**REUSED), note_process(os.getpid())):
        refuse_live(launched_by(asker))


def test_an_instance_here_that_cannot_be_ended_keeps_no_cloud_from_being_asked(
    tmp_path: Path,
) -> None:
    local_instance(tmp_path, **ELSEWHERE)

    class Cloud(SkyInfra):
        def down(self, run: str, *, by_name: bool = False) -> Removed:
            asked.append(run)
            return Removed(was_there=True)

    asked: list[str] = []
    infras: tuple[Infra, ...] = (LocalInfra(tmp_path), Cloud("aws", tmp_path))
    with pytest.raises(CloudError, match="this machine cannot tell whether"):
        remove_instance("mine", None, Journal(tmp_path / "journal"), infras, NOW)
    assert asked == ["mine"]
