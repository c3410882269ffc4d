"""The forecast in a run of the tiny model: in status.json from the fifth check on, also after a
restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.restore import restore
from fintts_store.runs.records import Status
from fintts_store.runs.runs import read_status, withdraw_result
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from tiny_run import TinyRun, start_run

SECTIONS: dict[str, dict[str, Any]] = {
    "training": {"max_steps": 14, "learning_rate": 1e-4, "warmup_steps": 2},
    "validation": {"every": 2, "fraction": 0.2},
    "checkpoints": {"every": 2, "keep_last": 20},
}


def told(run: TinyRun) -> Status:
    found = read_status(run.store, run.name)
    assert found is not None
    return found


def monitored(run: TinyRun, step: int, folder: Path) -> list[float]:
    manifest = next(m for m in list_manifests(run.store, run.name) if m.step == step)
    restore(run.store, manifest, folder)
    loop = json.loads((folder / "trainer_state.json").read_text())["loop"]
    assert len(loop["monitored"]) == loop["early_stopping"]["checks"]
    values: list[float] = loop["monitored"]
    return values


def test_a_run_tells_when_it_will_end_and_its_checkpoints_know_the_checks(tmp_path: Path) -> None:
    run = start_run(tmp_path, SECTIONS)
    assert train(run.job(), Preemption()) is not None
    status = told(run)
    assert status.stop_forecast is not None
    assert status.stop_forecast.checks in (5, 6, 7)
    assert status.stop_forecast.high_step == 14
    seen = monitored(run, 14, tmp_path / "last")
    assert len(seen) == 7
    assert seen[-1] == status.validation_value
    assert monitored(run, 8, tmp_path / "middle") == seen[:4]


def test_a_restart_forecasts_at_once_from_the_checks_before_it(tmp_path: Path) -> None:
    run = start_run(tmp_path, SECTIONS)
    assert train(run.job(), Preemption()) is not None
    withdraw_result(run.store, run.name)
    assert train(run.job("second"), Preemption()) is not None  # nothing is left to train
    status = told(run)
    assert status.claim == 2
    assert status.validation_value is None, "no check since the restart"
    assert status.stop_forecast is not None
    assert status.stop_forecast.checks == 7


def test_a_run_without_early_stopping_tells_nothing(tmp_path: Path) -> None:
    run = start_run(tmp_path, {**SECTIONS, "early_stopping": {"enabled": False}})
    assert train(run.job(), Preemption()) is not None
    assert told(run).stop_forecast is None
