"""A whole run of a tiny CSM: what trains, saves and resumes knows no family."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from fintts_store.checkpoints.listing import list_manifests
from fintts_store.layout import checkpoint_prefix
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import StopReason
from fintts_trainer.families import open_base
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from tiny_csm import write_tiny_csm
from tiny_run import TinyRun, start_run

QUICK: dict[str, dict[str, Any]] = {
    "training": {"max_steps": 8, "learning_rate": 1e-2, "warmup_steps": 1},
    "validation": {"every": 4, "fraction": 0.2},
    "checkpoints": {"every": 2, "keep_last": 2},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_csm(tmp_path_factory.mktemp("csm") / "tiny_csm")


def newest(run: TinyRun, folder: Path) -> Path:
    """The newest checkpoint's files."""
    manifest = list_manifests(run.store, run.name)[-1]
    assert manifest.step == 8
    folder.mkdir()
    for file in manifest.files:
        key = checkpoint_prefix(run.name, manifest.name) + file.name
        (folder / file.name).write_bytes(run.store.get(key))
    return folder


def kill_after_first_checkpoint(run: TinyRun) -> None:
    with subprocess.Popen(
        run.command("run"), env=run.environment("first"), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "step 2: checkpoint committed" in line:
                process.kill()
                break
        process.stderr.read()
    assert process.returncode == -signal.SIGKILL


def test_it_trains_saves_and_resumes_bit_for_bit(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    straight = start_run(tmp_path / "straight", QUICK, base=base)
    result = train(straight.job(), Preemption())
    assert result is not None
    assert (result.stop_reason, result.step) == (StopReason.MAX_STEPS, 8)
    assert result.best_value is not None
    assert result.initial_validation_value is not None
    assert result.best_value < result.initial_validation_value - 0.1

    broken = start_run(tmp_path / "broken", QUICK, base=base)
    kill_after_first_checkpoint(broken)
    assert train(broken.job("second"), Preemption()) is not None
    assert "resumed at step" in capsys.readouterr().err
    mine, theirs = newest(broken, tmp_path / "mine"), newest(straight, tmp_path / "theirs")
    name = "adapter_model.safetensors"
    assert (mine / name).read_bytes() == (theirs / name).read_bytes()
    assert [row.values["loss"] for row in read_metrics(broken.store, broken.name).rows] == [
        row.values["loss"] for row in read_metrics(straight.store, straight.name).rows
    ]
    opened = PeftModel.from_pretrained(open_base(base).load(torch.float32), str(mine))
    assert sum("lora_" in key for key in opened.state_dict()) == len(load_file(mine / name))
