"""Runs that were made before say how fast the next one is, scaled to its work and GPU."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fintts_cli.estimate.figures import MeasuredPace, Workload
from fintts_cli.estimate.measured_pace import OTHER_GPU, SAME_WORK, Wanted, pace_of
from fintts_cli.estimate.past_runs import past_runs
from fintts_cli.settings.model import Settings
from fintts_inputs.base_model.families import read_shape
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.end_run import end_run
from fintts_store.runs.records import Encoded
from fintts_store.runs.run_record import BaseModelRef, DatasetRef, FileRef, PriceRef, RentalRef
from fintts_store.runs.runs import create_run, write_status
from run_samples import DIGEST, START, record, result, status

MODEL = {"config.json": 10, "model.pth": 2000}
LOCAL = Settings(infra="local")
TINY = Path(__file__).parents[2] / "trainer" / "fixtures" / "fish_s1_tiny"
SHAPE = read_shape(TINY)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def pace_in(
    store: DirectoryStore,
    settings: Settings = LOCAL,
    sizes: dict[str, int] = MODEL,
    frames: float = 100.0,
) -> MeasuredPace | None:
    """For utterances of so many frames; those of the runs have 100."""
    workload = Workload(samples=1800, held_out=200, text_tokens=frames / 4, frames=frames)
    return pace_of(Wanted(settings, SHAPE, workload), past_runs(store, sizes))


def found(store: DirectoryStore, **changes: Any) -> MeasuredPace:
    pace = pace_in(store, **changes)
    assert pace is not None
    return pace


def finished(store: DirectoryStore, run: str, **changes: Any) -> None:
    """A run of 1,400 steps in 560 s with 14 checks in 112 s, set up within 35 s."""
    files = tuple(FileRef(name=n, size_bytes=size, sha256=DIGEST) for n, size in MODEL.items())
    model = BaseModelRef(name="m", prefix="base_models/m/", digest=DIGEST, files=files)
    config = {"data": "d", "base_model": "m", "training": changes.pop("training", {})}
    data = DatasetRef(
        key=f"datasets/{DIGEST}.safetensors", sha256=DIGEST, size_bytes=1, utterances=2000,
        frames=200_000,
    )  # fmt: skip
    own = ("infra", "gpus", "alternatives")
    place = {key: changes.pop(key) for key in own if key in changes}
    create_run(store, record(run=run, config=config, base_model=model, dataset=data, **place))
    end_run(store, result(run=run, **changes))


def test_steps_checks_and_setup_are_divided_out(store: DirectoryStore) -> None:
    finished(store, "one")
    pace = found(store)
    assert pace.source == "run one"
    assert pace.seconds_per_step == pytest.approx((0.4 / SAME_WORK, 0.4, 0.4 * SAME_WORK))
    assert (pace.seconds_per_validation, pace.setup_seconds) == pytest.approx((8.0, 35.0))


def test_all_runs_count(store: DirectoryStore) -> None:
    for run, seconds in (("a", 280.0), ("b", 560.0), ("c", 1120.0)):
        finished(store, run, phase_seconds={"training": seconds})
    pace = found(store)
    assert pace.source.startswith("3 runs, the newest ")
    assert pace.seconds_per_step == pytest.approx((0.2, 0.4, 0.8))


def test_encoding_is_measured_by_the_speech_that_a_run_encoded_itself(
    store: DirectoryStore,
) -> None:
    finished(store, "none", phase_seconds={"training": 1.0, "encoding": 0.3})
    finished(store, "half", claims=2, encoded=Encoded(speech_seconds=600, seconds=30))
    found = {each.record.run: each.seconds_per_speech for each in past_runs(store, MODEL)}
    assert found == {"none": None, "half": 0.05}


def test_other_work_is_scaled_and_doubted_more(store: DirectoryStore) -> None:
    finished(store, "half", training={"batch_size": 4})
    pace = found(store)
    assert pace.source == "run half, scaled to this work"
    assert pace.seconds_per_step.likely == pytest.approx(0.8)
    assert pace.seconds_per_step.high > 0.8 * SAME_WORK
    finished(store, "same")
    assert found(store).seconds_per_step.likely == pytest.approx(0.4)


def test_longer_utterances_take_longer(store: DirectoryStore) -> None:
    finished(store, "one")
    assert 0.8 < found(store, frames=200.0).seconds_per_step.likely < 1.0


def test_a_run_on_another_gpu_counts_only_without_one_on_the_same(store: DirectoryStore) -> None:
    finished(store, "other", infra="aws", gpus="A100-80GB:1")
    here = Settings(gpus="H100")
    pace = found(store, settings=here)
    assert pace.source == "run other, scaled to this GPU"
    assert pace.seconds_per_step.high == pytest.approx(pace.seconds_per_step.likely * OTHER_GPU)
    finished(store, "same", infra="aws", gpus="H100:1")
    assert found(store, settings=here).source == "run same"


@pytest.mark.parametrize(
    "changes",
    [
        {"infra": "aws/us-east-1"},
        {"infra": "aws", "gpus": "\u001b[31mevil"},
        {"step": 5},
        {"phase_seconds": {}},
        {"phase_seconds": {"training": 0.0}},
    ],
    ids=str,
)
def test_what_cannot_be_compared_does_not_count(
    store: DirectoryStore, changes: dict[str, Any]
) -> None:
    finished(store, "other", **changes)
    assert pace_in(store) is None


def test_another_model_or_kind_of_place_does_not_count(store: DirectoryStore) -> None:
    finished(store, "cloud", infra="aws", gpus="H100:1")
    assert pace_in(store) is None
    assert pace_in(store, Settings(gpus="H100"), MODEL | {"model.pth": 1}) is None
    assert pace_in(store, Settings(gpus="H100")) is not None


def test_a_run_that_could_choose_its_gpu_is_known_by_its_heartbeat(store: DirectoryStore) -> None:
    price = PriceRef(hourly_rate_usd=Decimal(1), source="a list")
    other = RentalRef(gpus="A100-80GB:1", price=price, estimate={})
    finished(store, "either", infra="aws", gpus="H100:1", alternatives=(other,))
    assert pace_in(store, Settings(gpus="H100")) is None
    write_status(store, status(run="either", gpus="A100-80GB:1"))
    assert found(store, settings=Settings(gpus="A100-80GB")).source == "run either"


def test_after_a_preemption_the_setup_is_not_known(store: DirectoryStore) -> None:
    finished(store, "twice", claims=2, started_at=START + timedelta(hours=1))
    assert found(store).setup_seconds is None


def test_runs_that_cannot_be_read_are_passed_over(store: DirectoryStore) -> None:
    store.put("runs/broken/result.json", b"{}")
    store.put("runs/half/run.json", b"{}")
    end_run(store, result(run="alone"))
    assert pace_in(store) is None
