"""A run's curves come from the store to TensorBoard, and nothing else does."""

from __future__ import annotations

import signal
from pathlib import Path

from cli_project import Shell, wait_for_line
from fintts_cli.runs.curves import fetch_event_files
from fintts_store.layout import all_tensorboard_prefix, tensorboard_prefix
from memory_store import MemoryStore
from tiny_run import start_run

NAME = "events.out.tfevents.1764583200.host.7.0"


def test_only_event_files_come_each_below_its_claim(tmp_path: Path) -> None:
    store = MemoryStore()
    store.put(tensorboard_prefix("tiny", 1) + NAME, b"first")
    store.put(tensorboard_prefix("tiny", 2) + NAME, b"second")
    store.put(tensorboard_prefix("tiny", 2) + "events.py", b"code")
    store.put(tensorboard_prefix("tiny", 2) + f"plugins/{NAME}", b"below")
    store.put(all_tensorboard_prefix("tiny") + NAME, b"no claim")
    store.put(tensorboard_prefix("other", 1) + NAME, b"another run")
    assert fetch_event_files(store, "tiny", tmp_path) == 2
    found = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("e*")}
    assert found == {f"000001/{NAME}": b"first", f"000002/{NAME}": b"second"}


def test_tensorboard_shows_a_run_until_ctrl_c(tmp_path: Path) -> None:
    run = start_run(tmp_path / "runs")
    shell = Shell(tmp_path / "project")
    shell.project.mkdir(exist_ok=True)
    command = ("cloud", "tensorboard", run.name, "--store", run.store.url, "--port", "0")
    none = shell(*command)
    assert none.returncode == 1
    assert f"run {run.name} has no curves for TensorBoard in the store yet" in none.stderr
    run.store.put(tensorboard_prefix(run.name, 1) + NAME, b"")
    shown = shell.start(*command)
    wait_for_line(shown, "http://127.0.0.1:")
    shown.send_signal(signal.SIGINT)
    _, said = shown.communicate(timeout=60)
    assert shown.returncode == 0, said
    assert "Traceback" not in said
