"""Losses that are read a step later: the same run, and NaN is still caught in time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from checks import every
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import StopReason
from fintts_trainer.checkpoint import LoopState
from fintts_trainer.loop.finish import finish
from fintts_trainer.loop.training import Training
from fintts_trainer.model.lora import trainable
from fintts_trainer.processes.progress import ProgressFile
from fintts_trainer.processes.world import World
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.session.session import StoreSession, open_session
from fintts_trainer.setup import set_up
from fintts_trainer.train import train_on
from tiny_run import TinyRun, start_run

SECTIONS: dict[str, dict[str, object]] = {
    "training": {"max_steps": 11, "batch_size": 6, "learning_rate": 1e-3},
    "validation": {"every": 4, "fraction": 0.2},
    "checkpoints": {"every": 3},
}


def begun(run: TinyRun, most_unread: int) -> tuple[Training, StoreSession]:
    """The run of a device that may be so many steps behind."""
    job = run.job()
    session = open_session(job, ProgressFile())
    assert isinstance(session, StoreSession)
    training = set_up(session, World.join(job.workspace))
    training.queue.most_unread = most_unread
    return training, session


def trained(run: TinyRun, most_unread: int) -> Training:
    """The same run after its end."""
    training, session = begun(run, most_unread)
    preemption = Preemption()
    finish(training, session, train_on(training, preemption), preemption)
    return training


def losses(run: TinyRun) -> list[tuple[str, int, float]]:
    rows = read_metrics(run.store, run.name).rows
    return [(row.kind, row.step, row.values["loss"]) for row in rows]


@pytest.mark.parametrize("most_unread", [1, 3])
def test_a_device_that_is_behind_trains_the_same_run(tmp_path: Path, most_unread: int) -> None:
    folders = [tmp_path / name for name in ("at_once", "behind")]
    runs = [start_run(folder, SECTIONS) for folder in folders]
    at_once, behind = trained(runs[0], 0), trained(runs[1], most_unread)
    assert losses(runs[1]) == losses(runs[0])
    assert behind.state.to_json() | {"phase_seconds": {}} == (
        at_once.state.to_json() | {"phase_seconds": {}}
    )
    mine, theirs = trainable(behind.model), trainable(at_once.model)
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []


@pytest.mark.parametrize("most_unread", [0, 1])
def test_a_step_takes_as_long_as_its_parts(tmp_path: Path, most_unread: int) -> None:
    """Also one that is read right after the one before it, as before a check or a save."""
    run = start_run(tmp_path, SECTIONS)
    trained(run, most_unread)
    rows = [row.values for row in read_metrics(run.store, run.name).rows if row.kind == "train"]
    parts = [f"{part}_seconds" for part in ("data", "forward", "loss", "backward", "optimizer")]
    assert len(rows) == 11
    assert every(row["seconds"] >= sum(row[part] for part in parts) for row in rows)


@pytest.mark.parametrize("most_unread", [0, 1])
def test_nan_moves_no_weight_and_is_never_saved(tmp_path: Path, most_unread: int) -> None:
    sections: dict[str, dict[str, object]] = {
        **SECTIONS,
        "training": {**SECTIONS["training"], "max_steps": 400, "learning_rate": 1e18},
        "validation": {"every": 200, "fraction": 0.2},
        "checkpoints": {"every": 7},
        "early_stopping": {"enabled": False},
    }
    run = start_run(tmp_path, sections)
    training = trained(run, most_unread)
    assert training.session.job.run == run.name
    steps = {step for kind, step, _ in losses(run) if kind == "train"}
    assert steps == set(range(1, training.state.step + 1)), "all before NaN are told"
    assert training.state.step < 400
    kept = {manifest.step for manifest in list_manifests(run.store, run.name)}
    assert all(step <= training.state.step for step in kept)
    weights = [parameter.isfinite().all() for parameter in trainable(training.model).values()]
    assert all(weights)


def test_the_reason_is_nan(tmp_path: Path) -> None:
    sections = {**SECTIONS, "training": {**SECTIONS["training"], "learning_rate": 1e30}}
    run = start_run(tmp_path, sections)
    training, _ = begun(run, 1)
    assert train_on(training, Preemption()) == StopReason.NAN_LOSS


class AtStep(Preemption):
    """A preemption that comes once so many steps are queued."""

    def __init__(self, state: LoopState, step: int) -> None:
        super().__init__()
        self._state, self._step = state, step

    @property
    def is_requested(self) -> bool:
        return self._state.step >= self._step


@pytest.mark.parametrize("end", ["last step", "preemption"])
def test_nan_in_a_step_that_is_unread_at_the_end(tmp_path: Path, end: str) -> None:
    sections: dict[str, dict[str, object]] = {
        "training": {**SECTIONS["training"], "max_steps": 400, "learning_rate": 1e18},
        "validation": {"every": 200, "fraction": 0.2},
        "checkpoints": {"every": 400},
    }
    good = trained(start_run(tmp_path / "first", sections), 0).state.step
    if end == "last step":
        sections["training"]["max_steps"] = good + 1
    run = start_run(tmp_path / "second", sections)
    training, session = begun(run, 1)
    preemption = AtStep(training.state, good + 1) if end == "preemption" else Preemption()
    reason = train_on(training, preemption)
    assert (reason, training.state.step) == (StopReason.NAN_LOSS, good)
    finish(training, session, reason, preemption)
    assert not list_manifests(run.store, run.name)
