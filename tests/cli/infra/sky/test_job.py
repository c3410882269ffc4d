"""Spot instances belong to SkyPilot's managed jobs: what of that can be shown without a cloud."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from command_line import invoke
from fake_sky import Cluster, ClusterNotUpError, FakeSky, Job, Request
from fintts_cli.errors import CloudError
from fintts_cli.infra import InstancePhase
from fintts_cli.infra.sky.rentals import job as job_module
from fintts_cli.infra.sky.rentals.job import live_jobs
from fintts_cli.infra.sky.rentals.record import read_record, write_record
from fintts_cli.infra.sky.server.keys import BY_SETTING
from fintts_cli.infra.sky.sky import SkyInfra
from fintts_cli.infra.this_machine import fate_here, note_process
from fintts_cli.workplace.workplace import Workplace
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.end_run import end_run
from fintts_store.runs.noted_process import Fate, NotedProcess
from fintts_store.runs.runs import create_run, write_status
from run_samples import record, result, status

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()


class Laptop:
    """A SkyPilot, and an infra that asks it; `state` forgets what was answered before."""

    def __init__(self, folder: Path, sky: FakeSky) -> None:
        self.folder, self.sky = folder, sky
        self.bundle = folder / "bundle"
        self.bundle.mkdir()
        (self.bundle / "code.py").write_text("code\n")

    @property
    def infra(self) -> SkyInfra:
        return SkyInfra("aws", self.folder / "state", self.sky.session)

    def launch(self, run: str = "mine", **secrets: str) -> Job:
        resources = {"use_spot": True}
        task = {"resources": resources, "workdir": str(self.bundle), "run": "true"}
        self.infra.launch(run, yaml.safe_dump(task), secrets)
        return self.sky.managed_jobs[-1]

    def phase(self, run: str = "mine") -> InstancePhase:
        state = self.infra.state(run)
        assert state is not None
        return state.phase


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path, FakeSky())


OWN_KEY = ("aws", "remote_identity")


@pytest.mark.parametrize("chosen", [None, "my-role"])
def test_secrets_go_to_the_task_and_this_machine_s_key_stays(
    laptop: Laptop, chosen: str | None
) -> None:
    if chosen is not None:
        laptop.sky.settings[OWN_KEY] = chosen
    laptop.launch(AWS_SECRET_ACCESS_KEY="planted")
    assert laptop.sky.tasks[-1].secrets == {"AWS_SECRET_ACCESS_KEY": "planted"}
    kept = {(cloud, "remote_identity"): "NO_UPLOAD" for cloud in BY_SETTING}
    assert laptop.sky.settings_at_launch == kept | {OWN_KEY: chosen or "NO_UPLOAD"}
    assert laptop.sky.settings.get(OWN_KEY) == chosen
    files = [path for path in laptop.folder.rglob("*") if path.is_file()]
    assert [path for path in files if b"planted" in path.read_bytes()] == []


def test_this_machine_s_keys_stay_whether_or_not_the_run_has_secrets(laptop: Laptop) -> None:
    laptop.launch()
    kept = {(cloud, "remote_identity"): "NO_UPLOAD" for cloud in BY_SETTING}
    assert laptop.sky.settings_at_launch == kept


def test_a_job_goes_through_its_phases(laptop: Laptop) -> None:
    job = laptop.launch()
    job.start_at = None
    for waiting in ("PENDING", "STARTING"):
        job.become(waiting)
        assert laptop.phase() == InstancePhase.PROVISIONING
    cluster = Cluster(f"{job.job_name}-1", NOON)
    laptop.sky.clusters.append(cluster)
    job.become("RUNNING")
    job.start_at = NOON + 60
    assert laptop.phase() == InstancePhase.RUNNING
    job.become("RECOVERING")
    assert laptop.phase() == InstancePhase.RECOVERING
    job.become("PENDING")
    assert laptop.phase() == InstancePhase.RECOVERING, "there was no capacity: it is tried again"
    job.become("CANCELLING")
    assert laptop.phase() == InstancePhase.TEARING_DOWN
    job.become("SUCCEEDED")
    assert laptop.phase() == InstancePhase.TEARING_DOWN
    job.become("SUCCEEDED", "DONE")
    assert laptop.phase() == InstancePhase.TEARING_DOWN, "SkyPilot still has its cluster"
    cluster.ended = NOON + 100
    state = laptop.infra.state("mine")
    assert state is not None
    assert (state.phase, state.exit_code) == (InstancePhase.GONE, 0)
    assert state.ended_at == datetime.fromtimestamp(NOON + 100, UTC)
    laptop.sky.managed_jobs.clear()
    assert laptop.phase() == InstancePhase.GONE, "that it is gone is known here"


def test_each_instance_of_a_job_is_billed_for_itself(laptop: Laptop) -> None:
    job = laptop.launch()
    name = f"{job.job_name}-1"
    laptop.sky.clusters += [
        Cluster(name, NOON, NOON + 600, accelerators={"A100-80GB": 1}),
        Cluster("of another job", NOON, NOON + 5000),
        Cluster(name, NOON + 1200, accelerators={"H100": 1}),
    ]
    job.become("RUNNING")
    state = laptop.infra.state("mine")
    assert state is not None
    assert state.where == name
    assert state.created_at == datetime.fromtimestamp(NOON + 1200, UTC)
    now = datetime.fromtimestamp(NOON + 1500, UTC)
    assert [((s.ended or now) - s.began).total_seconds() for s in state.spans] == [600, 300]
    assert [span.gpus for span in state.spans] == ["A100-80GB:1", "H100:1"]
    assert state.gpus == "H100:1"


def test_a_job_that_nobody_looked_at_while_it_had_an_instance_is_billed_for_it(
    laptop: Laptop,
) -> None:
    job = laptop.launch()
    cluster = Cluster(f"{job.job_name}-1", NOON, NOON + 600, accelerators={"H100": 1})
    laptop.sky.clusters.append(cluster)
    job.become("SUCCEEDED", "DONE")
    job.has_cluster = False
    state = laptop.infra.state("mine")
    assert state is not None
    assert (state.phase, state.gpus) == (InstancePhase.GONE, "H100:1")
    assert [(span.began.timestamp(), span.ended) for span in state.spans] == [
        (NOON, datetime.fromtimestamp(NOON + 600, UTC))
    ]
    laptop.sky.clusters[0].ended = None
    [sighting] = live_jobs(laptop.sky)
    assert sighting.run == "mine", "its instance lives on, though the job is over"


def test_an_instance_that_comes_later_finds_the_code_there(laptop: Laptop) -> None:
    job = laptop.launch()
    (laptop.bundle / "code.py").unlink()
    [task] = laptop.sky.tasks
    assert (Path(task.workdir) / "code.py").read_text() == "code\n"
    assert laptop.phase() == InstancePhase.RUNNING
    job.become("SUCCEEDED", "DONE")
    assert laptop.phase() == InstancePhase.GONE
    assert not Path(task.workdir).exists()


def test_down_cancels_the_job_and_waits_for_its_cluster(laptop: Laptop) -> None:
    job = laptop.launch()
    laptop.sky.clusters.append(Cluster(f"{job.job_name}-1", NOON))
    job.become("RUNNING")
    laptop.infra.down("mine")
    assert laptop.phase() == InstancePhase.GONE
    laptop.infra.down("mine")
    assert laptop.sky.calls == ["start", "launch", "cancel [1]"]


def test_what_the_controller_left_is_removed_all_the_same(laptop: Laptop) -> None:
    job = laptop.launch()
    laptop.sky.clusters.append(Cluster(f"{job.job_name}-1", NOON))
    job.become("FAILED_CONTROLLER", "DONE")
    assert laptop.phase() == InstancePhase.TEARING_DOWN
    laptop.infra.down("mine")
    assert laptop.sky.calls[-1] == f"down {job.job_name}-1"
    assert laptop.phase() == InstancePhase.GONE


def test_a_job_that_does_not_end_may_be_billing(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "GONE_WITHIN_SECONDS", 0.0)
    job = laptop.launch()
    job.become("RUNNING")
    laptop.sky.controller_is_deaf = True
    with pytest.raises(CloudError, match=r"may be billing: .* is still RUNNING"):
        laptop.infra.down("mine")
    assert laptop.phase() == InstancePhase.RUNNING


def test_a_job_that_skypilot_has_forgotten_is_not_called_gone(laptop: Laptop) -> None:
    laptop.launch()
    laptop.sky.managed_jobs.clear()
    for ask in (laptop.infra.state, laptop.infra.down):
        with pytest.raises(CloudError, match="SkyPilot has forgotten the managed job fintts-mine-"):
            ask("mine")


def test_a_job_whose_list_is_gone_is_removed_by_its_cluster_s_name(laptop: Laptop) -> None:
    """Consolidation mode was taken out again while it was at work."""
    job = laptop.launch()
    laptop.sky.clusters.append(Cluster(f"{job.job_name}-1", NOON))
    laptop.sky.no_controller = ClusterNotUpError("No in-progress managed jobs.")
    assert laptop.phase() == InstancePhase.RUNNING
    laptop.infra.down("mine")
    assert laptop.sky.calls[-1] == f"down {job.job_name}-1"
    assert laptop.phase() == InstancePhase.GONE


def test_a_job_whose_list_is_gone_is_gone_with_its_cluster(laptop: Laptop) -> None:
    job = laptop.launch()
    laptop.sky.clusters.append(Cluster(f"{job.job_name}-1", NOON, NOON + 60))
    laptop.sky.no_controller = ClusterNotUpError("No in-progress managed jobs.")
    assert laptop.phase() == InstancePhase.GONE


def test_why_skypilot_gave_up_is_told(laptop: Laptop) -> None:
    job = laptop.launch()
    job.become("FAILED_PRECHECKS", "DONE")
    job.failure_reason = "Quota is\nexceeded. More of it."
    state = laptop.infra.state("mine")
    assert state is not None
    assert (state.exit_code, state.message) == (1, "Quota is exceeded")


@pytest.mark.parametrize("end", [RuntimeError("The server hung up."), KeyboardInterrupt()])
def test_an_interrupted_launch_leaves_no_job(laptop: Laptop, end: BaseException) -> None:
    laptop.sky.fails_after_submission = end
    expected = CloudError if isinstance(end, Exception) else KeyboardInterrupt
    with pytest.raises(expected):
        laptop.launch()
    assert laptop.sky.calls == ["start", "launch", "take back", "cancel [1]"]
    assert laptop.phase() == InstancePhase.GONE


def test_of_what_skypilot_ever_said_a_launch_reads_its_own_part_alone(laptop: Laptop) -> None:
    """The log grows with each launch and each tail; this one does not fit into memory."""

    class ResourcesUnavailableError(Exception):
        """SkyPilot's own, by that name."""

    log = laptop.folder / "state" / "sky" / "mine" / "sky.log"
    log.parent.mkdir(parents=True)
    with log.open("wb") as file:
        file.truncate(1 << 40)
    laptop.sky.sold_out = ResourcesUnavailableError("Nothing at $1. Try more.")
    with pytest.raises(CloudError, match=r"Nothing at \$1"):
        laptop.launch()


def unseen(laptop: Laptop, asked_by: NotedProcess | None) -> Job:
    """A job that its terminal asked for, and SkyPilot does not list."""
    job = laptop.launch()
    folder = laptop.folder / "state" / "sky" / "mine"
    written = read_record(folder)
    assert written is not None
    assert written.asked_by == note_process(os.getpid())
    changes = {"was_seen": False, "asked_by": asked_by}
    write_record(folder, written.model_copy(update=changes))
    laptop.sky.managed_jobs.clear()
    return job


@pytest.fixture
def gone() -> NotedProcess:
    """A process that has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        asker = note_process(process.pid)
        assert fate_here(asker) == Fate.LIVES
        process.kill()
    return asker


def test_a_terminal_that_still_asks_hides_no_job(laptop: Laptop) -> None:
    job = unseen(laptop, note_process(os.getpid()))
    assert laptop.phase() == InstancePhase.PROVISIONING, "SkyPilot may hear of it any moment"
    laptop.sky.managed_jobs.append(job)
    job.become("RUNNING")
    assert laptop.phase() == InstancePhase.RUNNING


def test_a_killed_terminal_hides_no_job(laptop: Laptop, gone: NotedProcess) -> None:
    job = unseen(laptop, gone)
    speaks_of_it = f'{{"name": "{job.job_name}"}}'
    laptop.sky.requests = [Request("1", "sky.jobs.launch", None, speaks_of_it)]
    assert laptop.phase() == InstancePhase.PROVISIONING, "SkyPilot is still at it"
    laptop.sky.requests = []
    laptop.sky.managed_jobs.append(job)
    job.become("RUNNING")
    assert laptop.phase() == InstancePhase.RUNNING


def test_what_nobody_asks_for_any_more_does_not_come(laptop: Laptop, gone: NotedProcess) -> None:
    unseen(laptop, gone)
    laptop.sky.requests = [
        Request("1", "sky.jobs.launch", None, '{"name": "fintts-another-1"}'),
        Request("2", "sky.jobs.queue", None, '{"name": "fintts-mine-1"}'),
    ]
    assert laptop.phase() == InstancePhase.GONE


def test_who_asked_is_not_known_of_a_record_of_old(laptop: Laptop) -> None:
    unseen(laptop, None)
    assert laptop.phase() == InstancePhase.PROVISIONING


def test_a_process_is_told_from_another_one_of_its_number(gone: NotedProcess) -> None:
    assert fate_here(gone) == Fate.ENDED
    here = note_process(os.getpid())
    assert fate_here(here) == Fate.LIVES
    assert here.started_ticks is not None
    other = here.model_copy(update={"started_ticks": here.started_ticks - 1})
    assert fate_here(other) == Fate.ENDED


def test_a_process_that_nobody_took_note_of_has_ended_all_the_same() -> None:
    process = subprocess.Popen(["sleep", "60"])
    asker = note_process(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert fate_here(asker) == Fate.ENDED
    process.wait()


def test_a_run_has_one_job_at_a_time_and_another_one_later(laptop: Laptop) -> None:
    first = laptop.launch()
    with pytest.raises(CloudError, match="run mine has a live instance"):
        laptop.launch()
    first.become("FAILED", "DONE")
    second = laptop.launch()
    assert second.job_name != first.job_name
    assert laptop.phase() == InstancePhase.RUNNING


def test_an_offer_that_does_not_exist_is_refused_at_once(laptop: Laptop) -> None:
    class ResourcesUnavailableError(Exception):
        """SkyPilot's own, by that name."""

    laptop.sky.sold_out = ResourcesUnavailableError("Nothing at $1. Try more.")
    with pytest.raises(CloudError, match="no cloud has such an instance at this price now"):
        laptop.launch()
    assert laptop.sky.managed_jobs == []


def test_no_instance_is_rented_to_watch_over_another_one(laptop: Laptop) -> None:
    laptop.sky.watches_itself = False
    with pytest.raises(CloudError, match="would rent a second instance") as refused:
        laptop.launch()
    assert "consolidation_mode" in refused.value.hint
    assert laptop.sky.managed_jobs == []
    laptop.sky.is_here = False
    laptop.launch()


def test_a_job_s_lines_are_as_it_wrote_them(laptop: Laptop) -> None:
    job = laptop.launch()
    job.become("RUNNING")
    for follow in (True, False):
        assert list(laptop.infra.logs("mine", follow=follow)) == [f"of job 1, {follow}\n"]
    job.become("RECOVERING")
    assert list(laptop.infra.logs("mine", follow=True)) == ["of job 1, True\n"]
    with pytest.raises(CloudError, match="has no instance now"):
        list(laptop.infra.logs("mine", follow=False))


def test_whoever_lists_runs_ends_a_job_that_skypilot_would_bring_back(
    laptop: Laptop, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ended, and its instance with it, while the laptop was off: SkyPilot knows nothing."""
    store = DirectoryStore(own_folder / "store")
    create_run(store, record(run="mine", infra="aws"))
    write_status(store, status(run="mine"))
    monkeypatch.setattr(Workplace, "infra", lambda _here, _name: laptop.infra)
    job = laptop.launch()
    laptop.sky.clusters.append(Cluster(f"{job.job_name}-1", NOON))
    job.become("RUNNING")
    list_runs = ["cloud", "ps", "--json", "--store", store.url]
    [view] = json.loads(invoke(list_runs).stdout)
    assert view["instance_is_live"] is True
    assert laptop.sky.calls == ["start", "launch"], "it is at work"
    end_run(store, result(run="mine"))
    told = invoke(list_runs)
    [view] = json.loads(told.stdout)
    assert (view["phase"], view["instance_is_live"]) == ("done", False)
    assert "run mine has ended; its instance is now removed" in told.stderr
    assert laptop.sky.calls == ["start", "launch", "cancel [1]"]


def test_whoever_lists_runs_ends_a_job_that_waits_past_its_deadline(
    laptop: Laptop, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was preempted, and there is no capacity: a replacement could train nothing any more."""
    store = DirectoryStore(own_folder / "store")
    monkeypatch.setattr(Workplace, "infra", lambda _here, _name: laptop.infra)
    now = datetime.now(UTC)
    list_runs = ["cloud", "ps", "--json", "--store", store.url]
    for name, deadline_at in (("mine", now + timedelta(hours=1)), ("late", now)):
        create_run(store, record(run=name, infra="aws", deadline_at=deadline_at))
        job = laptop.launch(name)
        job.become("RECOVERING")
    told = invoke(list_runs)
    views = {view["run"]: view for view in json.loads(told.stdout)}
    assert views["mine"]["phase"] == "provisioning"
    late = views["late"]
    assert (late["instance_is_live"], late["stop_reason"]) == (False, "deadline"), late
    assert late["message"] == "the run had no instance when its deadline passed"
    assert "run late waits for an instance, and its deadline has passed" in told.stderr
    assert [call for call in laptop.sky.calls if call.startswith("cancel")] == ["cancel [2]"]
