"""A run goes on with a changed configuration where that is safe, and says what differs if not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from fintts_inputs.errors import ConfigurationChanged
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.restore import restore
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import StopReason
from fintts_store.runs.run_record import Revision
from fintts_store.runs.runs import create_revision, read_run, withdraw_result
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from tiny_run import TinyRun, start_run

SECTIONS: dict[str, dict[str, Any]] = {
    "training": {"max_steps": 4, "learning_rate": 1e-3, "warmup_steps": 2},
    "validation": {"every": 2, "fraction": 0.2},
    "checkpoints": {"every": 4, "keep_last": 5},
}


def revise(run: TinyRun, **changes: object) -> None:
    """As `fintts train --force` does, which compares before it writes."""
    record = read_run(run.store, run.name)
    training = record.config["training"]
    assert isinstance(training, dict)
    config = {**record.config, "training": {**training, **changes}}
    revision = Revision(
        run=run.name,
        number=record.revision + 1,
        created_at=datetime.now(UTC),
        fintts_version="test",
        config=config,
        changes=tuple(changes),
    )
    create_revision(run.store, revision)
    withdraw_result(run.store, run.name)


@pytest.fixture
def trained(tmp_path: Path) -> TinyRun:
    run = start_run(tmp_path, SECTIONS)
    assert train(run.job(), Preemption()) is not None
    return run


def test_more_steps_and_another_rate_go_on_from_the_same_checkpoint(
    trained: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    revise(trained, max_steps=6, learning_rate=5e-4)
    result = train(trained.job("second"), Preemption())
    assert result is not None
    assert (result.stop_reason, result.step, result.claims) == (StopReason.MAX_STEPS, 6, 2)
    said = capsys.readouterr().err
    assert "training.learning_rate: 0.001 → 0.0005; training.max_steps: 4 → 6" in said
    assert "resumed at step 4" in said
    rows = [row for row in read_metrics(trained.store, trained.name).rows if row.kind == "train"]
    rates = {row.step: row.values["learning_rate"] for row in rows}
    assert rates == {1: 5e-4, 2: 1e-3, 3: 1e-3, 4: 1e-3, 5: 5e-4, 6: 5e-4}
    digests = {m.step: m.config_digest for m in list_manifests(trained.store, trained.name)}
    assert len(set(digests.values())) == 2, "each checkpoint says what it was trained with"
    assert digests[4] != digests[6]
    # What was trained with the first configuration is still known with a third one.
    revise(trained, max_steps=7)
    again = train(trained.job("third"), Preemption())
    assert again is not None
    assert again.step == 7


def test_a_run_without_a_prompt_says_so_and_keeps_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As runs were begun before they recorded one; and then an older fintts goes on with a run."""
    run = start_run(tmp_path, SECTIONS)
    assert train(run.job(), Preemption()) is not None
    assert "the run keeps its prompt, fish-joined" in capsys.readouterr().err
    manifest = list_manifests(run.store, run.name)[-1]
    folder = tmp_path / "checkpoint"
    restore(run.store, manifest, folder)
    assert json.loads((folder / "trainer_state.json").read_text())["prompt"] == "fish-joined"
    with safe_open(folder / "adapter_model.safetensors", framework="numpy") as adapter:
        assert adapter.metadata()["prompt"] == "fish-joined"
    record = read_run(run.store, run.name).model_copy(update={"prompt": "fish-s1"})
    run.store.put(f"runs/{run.name}/run.json", record.dump().encode())
    withdraw_result(run.store, run.name)
    with pytest.raises(ConfigurationChanged, match="with the prompt fish-joined, but the run uses"):
        train(run.job("second"), Preemption())


def test_a_change_that_is_not_safe_is_named_by_field(trained: TinyRun) -> None:
    revise(trained, max_steps=6, batch_size=4)
    with pytest.raises(ConfigurationChanged) as caught:
        train(trained.job("second"), Preemption())
    assert "the checkpoint at step 4 was trained with another" in caught.value.message
    assert "training.batch_size: 8 → 4; training.max_steps: 4 → 6" in caught.value.message


def test_a_checkpoint_of_a_configuration_that_the_run_never_had_is_refused(
    trained: TinyRun,
) -> None:
    """Not even a safe difference: somebody has replaced run.json, or the checkpoint."""
    key = f"runs/{trained.name}/run.json"
    record = read_run(trained.store, trained.name)
    training = record.config["training"]
    assert isinstance(training, dict)
    other = {**record.config, "training": {**training, "max_steps": 9}}
    changed = record.model_copy(update={"config": other})
    trained.store.put(key, changed.dump().encode())
    withdraw_result(trained.store, trained.name)
    with pytest.raises(ConfigurationChanged, match="max_steps: 4 → 9"):
        train(trained.job("second"), Preemption())
