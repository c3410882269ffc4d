"""A whole run reports to a tracker; one whose tracker cannot be reached is the same run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fintts_inputs.trackers import VARIABLE, Tracker
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.runs import read_result
from tiny_run import TinyRun, start_run
from tracker_libraries import python_of, recorded

SECTIONS: dict[str, dict[str, object]] = {
    "training": {"max_steps": 4, "batch_size": 2},
    "validation": {"every": 2},
    "checkpoints": {"every": 2},
}
KEY = "0123456789abcdef" * 2 + "01234567"


def train(run: TinyRun, **variables: str) -> str:
    """The log of the run, with uv at hand to install the library."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        run.command("run"),
        env=run.environment() | {"PATH": tools} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.end_to_end
def test_a_run_reports_to_its_tracker(tmp_path: Path) -> None:
    python_of(Tracker.TRACKIO)
    run = start_run(tmp_path, SECTIONS)
    log = train(run, **{VARIABLE: "trackio"}, TRACKIO_DIR=str(tmp_path / "trackio"))
    assert "loses rows" not in log
    name, config, rows = recorded(Tracker.TRACKIO, tmp_path / "trackio")
    assert name == "tiny"
    assert config["training"]["max_steps"] == 4  # type: ignore[index]  # JSON
    assert "data" not in config
    rows_here = read_metrics(run.store, run.name).rows
    ours = {row.step: row.values["loss"] for row in rows_here if row.kind == "train"}
    assert len(ours) == 4
    assert {step: row["train/loss"] for step, row in rows if "train/loss" in row} == ours
    checks = {row.step: row.values["loss"] for row in rows_here if row.kind == "validation"}
    theirs = {step: row["val/loss"] for step, row in rows if "val/loss" in row}
    assert theirs == {step: loss for step, loss in checks.items() if step}
    assert not (tmp_path / "workspace" / "trackers" / "trackio" / "python").exists()


@pytest.mark.end_to_end
def test_a_run_without_its_tracker_s_server_is_the_same_run(tmp_path: Path) -> None:
    python_of(Tracker.WANDB)
    run = start_run(tmp_path, SECTIONS)
    log = train(run, **{VARIABLE: "wandb"}, WANDB_BASE_URL="http://127.0.0.1:9", WANDB_API_KEY=KEY)
    assert log.count("wandb loses rows of this run, which trains on") == 1
    result = read_result(run.store, run.name)
    assert result is not None
    assert (result.stop_reason, result.step) == ("max_steps", 4)
    assert not [
        path
        for path in (tmp_path / "store").rglob("*")
        if path.is_file() and KEY.encode() in path.read_bytes()
    ]
