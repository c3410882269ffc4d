"""The main job on this machine: launch, watch, stop, lose, resume, tear down, pull, report."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from cli_project import Shell, wait_for_commit, wait_for_line, write_project
from fintts_cli.infra import InstancePhase
from fintts_cli.infra.local.local import LocalInfra
from fintts_cli.infra.local.processes import members_of, read_process
from fintts_cli.infra.local.record import read_instance
from fintts_store.backends.directory import DirectoryStore

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Its runs go on for so long that a test can interfere."""
    return Shell(write_project(tmp_path / "project", patience=1000))


def members(shell: Shell, run: str) -> list[int]:
    """Processes of the run's instance."""
    instance = read_instance(shell.state / "instances" / run)
    assert instance is not None
    return [process.pid for process in members_of(instance.agent_pid, instance.agent_started)]


def members_at_work(shell: Shell, run: str, limit_seconds: float = 120.0) -> list[int]:
    """The same, once the instance writes no more of its record until its end."""
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        instance = read_instance(shell.state / "instances" / run)
        if instance is not None and instance.phase is InstancePhase.RUNNING:
            return members(shell, run)
        time.sleep(0.05)
    raise AssertionError(f"the instance of {run} did not begin to work")


def test_from_estimate_to_report(tmp_path: Path) -> None:
    shell = Shell(write_project(tmp_path / "project"))
    launched = shell("cloud", "launch", "--name", "whole", "--yes", "--json", "--budget", "0.50")
    assert launched.returncode == 0, launched.stderr
    document = json.loads(launched.stdout)
    assert set(document) == {
        "run", "infra", "store", "estimated_cost_usd", "budget_usd", "deadline_at",
    }  # fmt: skip
    assert document["budget_usd"] == 0.5
    assert "and ten minutes; the budget of $0.50 lasts longer" in launched.stderr
    assert "stopped early at step" in launched.stderr
    assert members(shell, "whole") == []

    (listed,) = shell.document("cloud", "ps")
    assert (listed["run"], listed["phase"], listed["stop_reason"]) == (
        "whole",
        "done",
        "early_stopping",
    )

    pulled = shell.document("cloud", "pull-checkpoints", "--to", "home")
    assert [c["verified"] for c in pulled["checkpoints"]] == [True] * len(pulled["checkpoints"])
    (best,) = [c for c in pulled["checkpoints"] if c["best"]]
    assert best["step"] == listed["best_step"]
    adapter = shell.project / best["path"] / "adapter_model.safetensors"
    assert adapter.stat().st_size > 0
    again = shell("cloud", "pull-checkpoints", "--to", "home", "--best")
    assert "exists already, verified" in again.stderr

    report = shell.document("cloud", "report")
    assert report["stop_reason"] == "early_stopping"
    assert report["billed_seconds"] > report["phase_seconds"]["training"] > 0
    assert report["cost_usd"] == round(report["billed_seconds"] * 1.2 / 3600, 2)
    assert report["phases"]["setup"]["estimated_seconds"] == 10
    text = shell("cloud", "report").stdout
    assert "Training loss (nats)" in text
    assert "best" in text

    said = shell("cloud", "logs").stdout
    assert "early_stopping" in said
    elsewhere = shell("cloud", "logs", "--store", "store", FINTTS_STATE_DIR=str(tmp_path / "other"))
    assert "early_stopping" in elsewhere.stdout, "the store keeps what the instance said"
    assert elsewhere.stdout in said
    down = shell("cloud", "down")
    assert down.returncode == 0
    assert "stopped early at step" in down.stderr
    ended = shell("cloud", "launch", "--name", "whole", "--yes")
    assert ended.returncode == 2
    assert "has already ended: it stopped early at step" in ended.stderr


def test_ctrl_c_leaves_the_run_alone_and_stop_saves_it(shell: Shell) -> None:
    launch = shell.start("cloud", "launch", "--name", "patient", "--yes")
    wait_for_line(launch, " · training · ")
    launch.send_signal(signal.SIGINT)
    _, rest = launch.communicate()
    assert launch.returncode == 130
    assert "run patient keeps running; `fintts cloud watch patient` shows it again" in rest
    assert members(shell, "patient") != []
    refused = shell("cloud", "launch", "--name", "patient", "--yes")
    assert refused.returncode == 2
    assert "already running" in refused.stderr

    stopped = shell("cloud", "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "stopped on request at step" in stopped.stderr
    assert members(shell, "patient") == []
    (view,) = shell.document("cloud", "ps")
    assert (view["phase"], view["stop_reason"]) == ("done", "requested")
    (last,) = shell.document("cloud", "pull-checkpoints", "--last")["checkpoints"]
    assert last["step"] == view["step"]

    again = shell("cloud", "launch", "--name", "patient", "--yes", "--detach")
    assert "resumes from its newest checkpoint" in again.stderr
    (view,) = shell.document("cloud", "ps")
    assert view["stop_reason"] is None
    assert shell("cloud", "down").returncode == 0
    assert not any((shell.state / "bundles").iterdir())


def test_a_lost_instance_is_said_and_its_run_goes_on_where_it_was(shell: Shell) -> None:
    assert shell("cloud", "launch", "--name", "lost", "--yes", "--detach").returncode == 0
    watch = shell.start("cloud", "watch", "lost")
    wait_for_commit(DirectoryStore(shell.project / "store"), "lost")
    for pid in members(shell, "lost"):
        os.kill(pid, signal.SIGKILL)
    _, rest = watch.communicate()
    assert watch.returncode == 1
    assert "without a result" in rest
    assert "fintts cloud logs lost" in rest

    changed = shell("cloud", "launch", "--name", "lost", "--yes", FINTTS_LORA__RANK="3")
    assert changed.returncode == 2
    assert "lora.rank: 2 → 3" in changed.stderr

    resumed = shell.start("cloud", "launch", "--name", "lost", "--yes")
    assert "resumes from its newest checkpoint" in wait_for_line(resumed, " · training · ")
    assert shell("cloud", "stop", "lost").returncode == 0
    _, rest = resumed.communicate()
    assert resumed.returncode == 0, rest
    report = shell.document("cloud", "report")
    assert (report["stop_reason"], report["claims"]) == ("requested", 2)
    assert report["step"] > 0
    first, second = (launch["billed_seconds"] for launch in report["launches"])
    assert min(first, second) > 1, "both instances cost something"
    assert report["billed_seconds"] == pytest.approx(first + second)
    assert "resumed at step" in shell("cloud", "logs").stdout


@pytest.mark.parametrize("damage", ["run.json", "journal", "instance.json"])
def test_down_ends_what_lives_whatever_is_damaged(shell: Shell, damage: str) -> None:
    assert shell("cloud", "launch", "--name", "torn", "--yes", "-d", "-q").returncode == 0
    before = members_at_work(shell, "torn")
    assert before != []
    {
        "run.json": shell.project / "store" / "runs" / "torn" / "run.json",
        "journal": shell.state / "journal" / "torn.json",
        "instance.json": shell.state / "instances" / "torn" / "instance.json",
    }[damage].write_text("{")
    down = shell("cloud", "down", "torn")
    assert not [pid for pid in before if read_process(pid)]
    assert "cannot be read" in down.stderr
    if damage == "run.json":
        assert down.returncode == 5
        assert "the instance is gone; but" in down.stderr
    else:
        assert down.returncode == 0, down.stderr


def test_down_ends_it_now_and_keeps_what_was_committed(shell: Shell) -> None:
    assert shell("cloud", "launch", "--name", "cut", "--yes", "-d", "-q").returncode == 0
    watch = shell.start("cloud", "watch")
    wait_for_commit(DirectoryStore(shell.project / "store"), "cut")
    down = shell("cloud", "down", "--json")
    assert down.returncode == 0, down.stderr
    assert json.loads(down.stdout)["stop_reason"] == "requested"
    assert members(shell, "cut") == []
    watch.communicate()
    assert watch.returncode == 0
    assert LocalInfra(shell.state).instances()[0].is_live is False
    assert shell.document("cloud", "pull-checkpoints")["checkpoints"] != []
    assert shell("cloud", "down").returncode == 0
