"""A run that was made before says how fast the next one is, when it is the same kind of work."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fintts_cli.estimate.figures import MeasuredPace
from fintts_cli.estimate.measured_pace import find_pace
from fintts_cli.settings.model import Settings
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.end_run import end_run
from fintts_store.runs.records import BaseModelRef, FileRef, PriceRef, RentalRef
from fintts_store.runs.runs import create_run
from run_samples import DIGEST, MINUTE, START, record, result

MODEL = {"config.json": 10, "model.pth": 2000}
LOCAL = Settings(infra="local")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def finished(store: DirectoryStore, run: str, **changes: Any) -> None:
    """A run of 1,400 steps in 560 s with 14 checks in 112 s, set up within 35 s."""
    files = tuple(FileRef(name=n, size_bytes=size, sha256=DIGEST) for n, size in MODEL.items())
    model = BaseModelRef(name="m", prefix="base_models/m/", digest=DIGEST, files=files)
    config = {"data": "d", "base_model": "m", "training": changes.pop("training", {})}
    own = ("infra", "gpus", "alternatives")
    place = {key: changes.pop(key) for key in own if key in changes}
    create_run(store, record(run=run, config=config, base_model=model, **place))
    end_run(store, result(run=run, **changes))


def test_steps_checks_and_setup_are_divided_out(store: DirectoryStore) -> None:
    finished(store, "one")
    assert find_pace(store, LOCAL, MODEL) == MeasuredPace("run one", 0.4, 8.0, 35.0)


def test_the_newest_one_counts(store: DirectoryStore) -> None:
    finished(store, "newer", ended_at=START + 30 * MINUTE)
    finished(store, "older")
    pace = find_pace(store, LOCAL, MODEL)
    assert pace is not None
    assert pace.source == "run newer"


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"batch_size": 4}},
        {"training": {"gradient_accumulation": 2}},
        {"infra": "aws/us-east-1"},
        {"step": 5},
        {"phase_seconds": {}},
    ],
)
def test_other_work_does_not_count(store: DirectoryStore, changes: dict[str, Any]) -> None:
    finished(store, "other", **changes)
    assert find_pace(store, LOCAL, MODEL) is None


def test_another_model_or_accelerator_does_not_count(store: DirectoryStore) -> None:
    finished(store, "cloud", infra="aws", gpus="H100:1")
    assert find_pace(store, LOCAL, MODEL) is None
    assert find_pace(store, Settings(gpus="A100-80GB"), MODEL) is None
    assert find_pace(store, Settings(gpus="H100"), MODEL | {"model.pth": 1}) is None
    pace = find_pace(store, Settings(gpus="H100"), MODEL)
    assert pace is not None


def test_a_run_that_could_choose_its_gpu_does_not_count(store: DirectoryStore) -> None:
    """Its speed may be that of the other one."""
    price = PriceRef(hourly_rate_usd=Decimal(1), source="a list")
    other = RentalRef(gpus="A100-80GB:1", price=price, estimate={})
    finished(store, "either", infra="aws", gpus="H100:1", alternatives=(other,))
    assert find_pace(store, Settings(gpus="H100"), MODEL) is None
    assert find_pace(store, Settings(gpus="A100-80GB"), MODEL) is None


def test_after_a_preemption_the_setup_is_not_known(store: DirectoryStore) -> None:
    finished(store, "twice", claims=2, started_at=START + timedelta(hours=1))
    pace = find_pace(store, LOCAL, MODEL)
    assert pace is not None
    assert pace.setup_seconds is None


def test_runs_that_cannot_be_read_are_passed_over(store: DirectoryStore) -> None:
    store.put("runs/broken/result.json", b"{}")
    store.put("runs/half/run.json", b"{}")
    end_run(store, result(run="alone"))
    assert find_pace(store, LOCAL, MODEL) is None
