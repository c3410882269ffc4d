"""A run that is killed again and again is the run that nobody disturbed, bit for bit."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import many_lives
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.retention import newest_of
from fintts_store.layout import checkpoint_prefix
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import Result
from fintts_store.runs.runs import read_result
from tiny_run import TinyRun, start_run

STEPS, KILLS = 100, 20
SECTIONS: dict[str, dict[str, object]] = {
    "lora": {"dropout": 0.1},  # so that random numbers matter
    "training": {"max_steps": STEPS, "batch_size": 4, "warmup_steps": 80, "learning_rate": 3e-3},
    "validation": {"every": 7, "fraction": 0.2},
    "checkpoints": {"every": 5, "keep_last": 3},
    "early_stopping": {"patience": 40, "min_delta": 0.01},
}
WALL_CLOCK = ("seconds", "per_second", "mfu", "memory_peak_bytes")


@dataclass(frozen=True)
class Outcome:
    """All that must not depend on how often the run was killed."""

    adapter: bytes
    optimizer: bytes
    state: dict[str, object]
    rows: Mapping[tuple[str, int], Mapping[str, float]]
    result: Result


def outcome(run: TinyRun) -> Outcome:
    newest = newest_of(list_manifests(run.store, run.name))
    result = read_result(run.store, run.name)
    assert newest is not None
    assert result is not None
    folder = checkpoint_prefix(run.name, newest.name)
    state = json.loads(run.store.get(f"{folder}trainer_state.json"))
    state["loop"].pop("phase_seconds")
    state.pop("config")  # which says in which folder the data lay
    rows: dict[tuple[str, int], dict[str, float]] = {
        (row.kind, row.step): {
            name: value for name, value in row.values.items() if not name.endswith(WALL_CLOCK)
        }
        for row in read_metrics(run.store, run.name).rows
    }
    return Outcome(
        adapter=run.store.get(f"{folder}adapter_model.safetensors"),
        optimizer=run.store.get(f"{folder}optimizer.safetensors"),
        state=state,
        rows=rows,
        result=result,
    )


def live_through(run: TinyRun, targets: list[int]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, many_lives.__file__, *map(str, targets)],
        env=run.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_twenty_kills_in_a_hundred_steps_change_nothing(tmp_path: Path) -> None:
    targets = sorted(random.Random(3).sample(range(1, STEPS - 5), KILLS))
    undisturbed = start_run(tmp_path / "undisturbed", SECTIONS)
    killed = start_run(tmp_path / "killed", SECTIONS)
    for run, lost in ((undisturbed, []), (killed, targets)):
        done = live_through(run, lost)
        assert done.returncode == 0, done.stderr
    one, other = outcome(undisturbed), outcome(killed)
    assert (one.result.claims, other.result.claims) == (1, KILLS + 1)
    assert other.adapter == one.adapter
    assert other.optimizer == one.optimizer
    assert other.state == one.state, "position, learning rate, patience, best, random numbers"
    assert other.rows == one.rows, "losses, learning rates and samples of every step and check"
    for name in ("stop_reason", "step", "best_step", "best_value", "samples_seen"):
        assert getattr(other.result, name) == getattr(one.result, name), name
    assert set(one.result.kept_steps) <= set(other.result.kept_steps), "and the resume point"
