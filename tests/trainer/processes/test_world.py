"""A run in several processes, by gloo on loopback: the run of one process, within rounding."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file

from cli_project import wait_for_commit
from fintts_store.checkpoints.restore import restore_newest
from fintts_store.runs.claims import highest_claim
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import StopReason
from fintts_store.runs.runs import read_result
from fintts_store.runs.samples import read_samples
from fintts_trainer import train as train_module
from fintts_trainer.processes.layout import free_port
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.session.spot_notice import AWS_ADDRESS
from metadata_server import metadata_server
from parity_fixtures import HERE
from tiny_run import TinyRun, start_run

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

STEPS = 12
Sections: TypeAlias = dict[str, dict[str, object]]
SECTIONS: Sections = {
    "training": {"max_steps": STEPS, "batch_size": 6, "warmup_steps": 2, "learning_rate": 1e-3},
    "validation": {"every": 4, "fraction": 0.2},
    "checkpoints": {"every": 6},
}
LONGER: Sections = {**SECTIONS, "training": {**SECTIONS["training"], "max_steps": 40}}
ENDLESS: Sections = {
    **SECTIONS,
    "training": {**SECTIONS["training"], "max_steps": 100_000},
    "early_stopping": {"enabled": False},
}
DROPPING: Sections = {**LONGER, "lora": {"dropout": 0.2}}


def train(
    run: TinyRun, processes: int, workspace: str = "workspace"
) -> subprocess.CompletedProcess[str]:
    """As an instance with so many GPUs does."""
    return subprocess.run(
        run.command("run"),
        env=environment(run, processes, workspace),
        capture_output=True,
        text=True,
        check=False,
    )


def train_here(run: TinyRun, workspace: str = "workspace") -> None:
    """In one process, which is this one: it has imported torch already."""
    assert train_module.train(run.job(workspace), Preemption()) is not None


def environment(run: TinyRun, processes: int, workspace: str = "workspace") -> dict[str, str]:
    return {**run.environment(workspace), "FINTTS_PROCESSES": str(processes)}


@dataclass(frozen=True)
class Learnt:
    """What a run came to."""

    losses: Mapping[tuple[str, int], float]
    adapter: Mapping[str, npt.NDArray[np.float32]]
    tokens: list[float]

    def is_close_to(self, other: Learnt) -> None:
        assert self.losses == pytest.approx(other.losses, abs=1e-5)
        assert self.tokens == other.tokens, "the same samples in each step"
        for name, weight in self.adapter.items():
            np.testing.assert_allclose(weight, other.adapter[name], atol=1e-5, err_msg=name)


def learnt(run: TinyRun, tmp_path: Path) -> Learnt:
    folder = tmp_path / "restored"
    assert restore_newest(run.store, run.name, folder, on_skip=lambda *_: None) is not None
    rows = read_metrics(run.store, run.name).rows
    return Learnt(
        losses={(row.kind, row.step): row.values["loss"] for row in rows},
        adapter=load_file(folder / "adapter_model.safetensors"),
        tokens=[row.values["tokens"] for row in rows if row.kind == "train"],
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    run = start_run(folder / "run", SECTIONS)
    train_here(run)
    return learnt(run, folder)


def test_three_processes_learn_what_one_learns_and_one_of_them_writes_and_speaks(
    alone: Learnt, tmp_path: Path
) -> None:
    speaking: Sections = {**SECTIONS, "samples": {"held_out": 1, "every": 2, "max_seconds": 0.2}}
    run = start_run(tmp_path / "run", speaking, codec=HERE / "codec_for_fish_s1_tiny")
    done = train(run, 3)
    assert done.returncode == 0, done.stderr
    learnt(run, tmp_path).is_close_to(alone)
    assert "3 × cpu" in done.stderr
    assert done.stderr.count("before training: validation loss") == 1
    assert done.stderr.count("ended at step 12: max_steps") == 1
    assert highest_claim(run.store, run.name) == 1
    spoken = read_samples(run.store, run.name)
    assert spoken is not None
    assert set(spoken.files) == {("original", 1), ("base", 1), (8, 1)}
    result = read_result(run.store, run.name)
    assert result is not None
    assert result.stop_reason == StopReason.MAX_STEPS


def test_accelerate_launch_does_as_well(alone: Learnt, tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", SECTIONS)
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--main_process_port", "0", "-m", "fintts_trainer", "run"]
    environment = run.environment() | {"HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, *launch], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2 × cpu" in done.stderr
    learnt(run, tmp_path).is_close_to(alone)


def test_two_machines_learn_what_one_process_learns(alone: Learnt, tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", SECTIONS)
    port = str(free_port())
    machines = [
        subprocess.Popen(
            run.command("run"),
            env=run.environment(f"machine-{rank}")
            | {"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_RANK": str(rank), "MASTER_PORT": port}
            | {"SKYPILOT_NODE_IPS": "127.0.0.1\n127.0.0.1", "SKYPILOT_NUM_GPUS_PER_NODE": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    told = [machine.communicate()[1] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], told
    learnt(run, tmp_path).is_close_to(alone)
    assert "ended at step" not in told[1], "the first machine says how it went"


def test_there_may_be_more_processes_than_samples(tmp_path: Path) -> None:
    few = {**SECTIONS, "training": {**SECTIONS["training"], "batch_size": 1, "max_steps": 4}}
    one, two = start_run(tmp_path / "one", few), start_run(tmp_path / "two", few)
    train_here(one)
    done = train(two, 2)
    assert done.returncode == 0, done.stderr
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    learnt(two, tmp_path / "2").is_close_to(learnt(one, tmp_path / "1"))


def interrupt(run: TinyRun, processes: int, number: int, *, victim: int | None = None) -> str:
    """Sends a signal to the launcher, or SIGKILL to one of the processes, once a checkpoint is
    committed; returns what was told."""
    log = run.folder / "log"
    with log.open("wb") as file:
        launcher = subprocess.Popen(
            run.command("run"), env=environment(run, processes), stderr=file
        )
    wait_for_commit(run.store, run.name)
    os.kill(launcher.pid if victim is None else pid_of(launcher.pid, victim), number)
    launcher.wait()
    return f"{log.read_text()}\nexit {launcher.returncode}"


def pid_of(launcher: int, rank: int) -> int:
    """The launcher's child of this rank."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    for child in children:
        variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        if f"RANK={rank}".encode() in variables:
            return int(child)
    raise AssertionError(f"no process of rank {rank} among {children}")


@pytest.mark.parametrize(
    ("variables", "speaks"),
    [
        ({"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_RANK": "0"}, True),
        ({"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_RANK": "1"}, False),
        ({"FINTTS_PROCESSES": "0"}, True),  # for which the trainer itself was refused
    ],
)
def test_the_first_machine_has_the_last_word(
    tmp_path: Path, variables: dict[str, str], *, speaks: bool
) -> None:
    run = start_run(tmp_path / "run", SECTIONS)
    subprocess.run(
        run.command("conclude", "--exit-code", "1"),
        env=run.environment() | variables,
        check=True,
    )
    assert (read_result(run.store, run.name) is not None) == speaks


@pytest.mark.parametrize("victim", [0, 1])
def test_a_dead_process_ends_the_job_which_can_go_on(tmp_path: Path, victim: int) -> None:
    run = start_run(tmp_path / "run", ENDLESS)
    told = interrupt(run, 2, signal.SIGKILL, victim=victim)
    reason = (
        f"process {victim} of 2 was ended by SIGKILL, perhaps because the machine's memory was full"
    )
    assert f"error: {reason}" in told
    assert told.endswith("exit 1")
    assert "Traceback" not in told
    subprocess.run(run.command("conclude", "--exit-code", "1"), env=environment(run, 2), check=True)
    result = read_result(run.store, run.name)
    assert result is not None
    assert (result.stop_reason, result.message) == (StopReason.FAILED, reason)
    assert result.step == max(result.kept_steps) > 0


def preempted(folder: Path, sections: Sections) -> TinyRun:
    """A run of two processes that left it while it trained."""
    folder.mkdir()
    run = start_run(folder / "run", sections)
    told = interrupt(run, 2, signal.SIGTERM)
    assert "everything is saved" in told
    assert told.endswith("exit 75")
    return run


def test_what_the_first_process_hears_of_its_cloud_ends_them_all(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", ENDLESS)
    with (
        metadata_server("aws") as cloud,
        subprocess.Popen(
            run.command("run"),
            env=environment(run, 2) | {"FINTTS_ON_SPOT": "1", AWS_ADDRESS: cloud.url},
            stderr=subprocess.PIPE,
            text=True,
        ) as launcher,
    ):
        wait_for_commit(run.store, run.name)
        cloud.announce("2100-01-01T00:00:00Z")
        _, told = launcher.communicate()
    assert launcher.returncode == 75
    assert "everything is saved" in told
    assert len(cloud.tokens) == 1, "one process of a machine asks"


def test_a_run_of_two_processes_goes_on_in_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = preempted(tmp_path / "resumed", LONGER)
    train_here(run, "second")
    assert "resumed at step" in capsys.readouterr().err
    (tmp_path / "straight").mkdir()
    straight = start_run(tmp_path / "straight" / "run", LONGER)
    train_here(straight)
    learnt(run, tmp_path / "resumed").is_close_to(learnt(straight, tmp_path / "straight"))


def test_with_as_many_processes_it_is_the_same_run_bit_for_bit(tmp_path: Path) -> None:
    """Dropout included: each process goes on with its own random numbers."""
    run = preempted(tmp_path / "resumed", DROPPING)
    done = train(run, 2, "second")
    assert done.returncode == 0, done.stderr
    assert "resumed at step" in done.stderr
    resumed = learnt(run, tmp_path / "resumed")
    (tmp_path / "straight").mkdir()
    straight = start_run(tmp_path / "straight" / "run", DROPPING)
    assert train(straight, 2).returncode == 0
    other = learnt(straight, tmp_path / "straight")
    assert resumed.losses == other.losses
    for name, weight in resumed.adapter.items():
        np.testing.assert_array_equal(weight, other.adapter[name], err_msg=name)
