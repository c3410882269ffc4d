"""`fintts train`: interrupted, gone on with, and refused when it is another run."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli_project import FINTTS, Shell, wait_for_line, write_project
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.runs import read_result
from notify_server import notify_server

pytestmark = pytest.mark.end_to_end


def test_a_state_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    shell = Shell(write_project(tmp_path / "project"))
    shell.state.write_text("a file")
    refused = shell("train", "--name", "mine")
    assert refused.returncode == 2
    assert str(shell.state) in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (shell.project / "store" / "runs").exists(), "no run that nobody works on"


@pytest.mark.parametrize("after_seconds", [0.02, 0.1, 0.5])  # Python starts; imports; torch
def test_an_interruption_before_the_first_checkpoint_promises_nothing(
    tmp_path: Path, after_seconds: float
) -> None:
    shell = Shell(write_project(tmp_path / "project"))
    first = shell.start("train", "--name", "mine")
    wait_for_line(first, "its curves")
    time.sleep(after_seconds)
    first.send_signal(signal.SIGINT)
    _, rest = first.communicate()
    assert first.returncode == 130
    assert "and has no checkpoint yet: `fintts train --name mine` tries again" in rest
    assert "Traceback" not in rest


def test_a_training_outlives_its_reader_and_python_s_own_settings(tmp_path: Path) -> None:
    """`fintts train 2>&1 | head -n 1`, where warnings are errors and asserts are none."""
    shell = Shell(write_project(tmp_path / "project"))
    head = subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    (shell.project / "typer.py").write_text("raise SystemExit(77)\n")
    settings = {
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
        "PYTHONIOENCODING": "ascii:strict",
        "PYTHONPATH": ":",
    }
    trained = subprocess.run(
        [FINTTS, "train", "--name", "mine", "--max-steps", "6"],
        cwd=shell.project,
        env=shell.environment | settings,
        stdin=subprocess.DEVNULL,
        stdout=head.stdin,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert trained.returncode == 0
    result = read_result(DirectoryStore(shell.project / "store"), "mine")
    assert result is not None
    assert (result.step, result.stop_reason) == (6, "max_steps")
    assert head.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        head.stdin.close()
    assert head.wait() == 0


def test_under_nohup_a_closed_terminal_ends_nothing(tmp_path: Path) -> None:
    shell = Shell(write_project(tmp_path / "project"))
    train = [FINTTS, "train", "--name", "mine", "--max-steps", "6"]
    with notify_server() as server:
        process = subprocess.Popen(
            ["bash", "-c", "trap '' HUP; exec \"$@\"", "nohup", *train],
            cwd=shell.project,
            env=shell.environment | {"FINTTS_NOTIFY": server.url},
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for_line(process, "its curves")
        process.send_signal(signal.SIGHUP)
        _, said = process.communicate()
    assert server.events[-1] == "ended"
    assert process.returncode == 0, said
    assert "completed all 6 steps" in said


def test_ctrl_c_saves_and_the_same_name_goes_on(tmp_path: Path) -> None:
    shell = Shell(write_project(tmp_path / "project", patience=5))
    first = shell.start("train", "--name", "mine")
    wait_for_line(first, "committed")
    first.send_signal(signal.SIGINT)
    _, rest = first.communicate()
    assert first.returncode == 130
    assert "run mine was interrupted and is saved: `fintts train --name mine` resumes" in rest

    other = shell("train", "--name", "mine", FINTTS_TRAINING__BATCH_SIZE="8")
    assert other.returncode == 2
    assert "training.batch_size: 4 → 8" in other.stderr
    (shell.project / "speech" / "u000.lab").write_text("toinen\n")
    changed = shell("train", "--name", "mine")
    assert changed.returncode == 2
    assert "data: the content of the folder" in changed.stderr
    (shell.project / "speech" / "u000.lab").write_text("rivi numero 0\n")

    second = shell("train", "--name", "mine", "--json")
    assert second.returncode == 0, second.stderr
    assert "resumed at step" in second.stderr
    result = json.loads(second.stdout)
    assert (result["stop_reason"], result["claims"]) == ("early_stopping", 2)
    (view,) = shell.document("cloud", "ps")
    assert (view["run"], view["phase"], view["cost_to_finish_usd"]) == ("mine", "done", 0.0)

    estimate = shell.document("estimate", "--hourly-rate", "1")
    assert estimate["seconds_per_step"]["source"].startswith("fintts.yaml:")
    third = shell("train", "--name", "mine")
    assert third.returncode == 2
    assert "has already ended" in third.stderr
    assert "--force with a higher early_stopping.patience resumes it" in third.stderr

    longer = {"FINTTS_EARLY_STOPPING__ENABLED": "false"}
    longer["FINTTS_TRAINING__MAX_STEPS"] = str(result["step"] + 4)
    fourth = shell("train", "--name", "mine", "--force", "--json", **longer)
    assert fourth.returncode == 0, fourth.stderr
    assert "resumes with a changed configuration: early_stopping.enabled: True" in fourth.stderr
    last = json.loads(fourth.stdout)
    assert (last["stop_reason"], last["step"]) == ("max_steps", result["step"] + 4)
    (view,) = shell.document("cloud", "ps")
    assert view["max_steps"] == last["step"]
