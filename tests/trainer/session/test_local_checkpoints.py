"""Which of the checkpoints on an instance's disk the next job takes up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from fintts_store.checkpoints.commit import CheckpointFacts
from fintts_store.runs.run_record import RunRecord
from fintts_trainer.session.local_checkpoints import (
    describe_local,
    local_checkpoint,
    local_rows,
    newest_local,
    remove_local,
)
from run_samples import DIGEST, metrics, record

MINE = record()
CONFIG = "c" * 64
ROWS = list(metrics())


def leave(workspace: Path, step: int, of: RunRecord = MINE, **changes: str) -> CheckpointFacts:
    """A checkpoint as a job leaves it that is killed before it could upload it."""
    given = {"config_digest": CONFIG, "base_model_digest": DIGEST} | changes
    facts = CheckpointFacts(step, monitor="val/loss", mode="min", value=1.5, **given)
    folder = local_checkpoint(workspace, step)
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"x")
    describe_local(workspace, of, facts, ROWS)
    return facts


def newest(workspace: Path, above_step: int = 0) -> tuple[Path, CheckpointFacts] | None:
    return newest_local(workspace, MINE, CONFIG, above_step)


def test_the_newest_beyond_what_the_store_has_is_taken_up(tmp_path: Path) -> None:
    leave(tmp_path, 9)
    facts = leave(tmp_path, 10)
    assert newest(tmp_path) == newest(tmp_path, 9) == (local_checkpoint(tmp_path, 10), facts)
    assert newest(tmp_path, 10) is None
    assert newest(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    "other", [record(run="another"), record(created_at=MINE.created_at + timedelta(seconds=1))]
)
def test_another_run_s_is_left_alone_even_if_it_had_the_same_name(
    tmp_path: Path, other: RunRecord
) -> None:
    leave(tmp_path, 20, other)
    assert newest(tmp_path) is None


@pytest.mark.parametrize("changed", ["config_digest", "base_model_digest"])
def test_that_of_another_configuration_is_left_alone(tmp_path: Path, changed: str) -> None:
    leave(tmp_path, 20, MINE, **{changed: "d" * 64})
    assert newest(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": "kalevala-1"}'])
def test_a_note_that_is_damaged_hides_no_other(tmp_path: Path, text: str) -> None:
    leave(tmp_path, 10)
    leave(tmp_path, 20)
    local_checkpoint(tmp_path, 20).with_suffix(".json").write_text(text)
    found = newest(tmp_path)
    assert found is not None
    assert found[1].step == 10


def test_what_is_half_there_is_nothing(tmp_path: Path) -> None:
    """A folder is written first and removed last, so one without its note may be broken."""
    for step in (10, 20, 30):
        leave(tmp_path, step)
    local_checkpoint(tmp_path, 10).with_suffix(".json").rename(tmp_path / "checkpoints/x.json")
    for file in local_checkpoint(tmp_path, 20).iterdir():
        file.unlink()
    local_checkpoint(tmp_path, 20).rmdir()
    remove_local(tmp_path, 30)
    assert newest(tmp_path) is None
    assert not list((tmp_path / "checkpoints").glob("checkpoint-30*"))
    remove_local(tmp_path, 30)


def test_a_note_that_was_copied_is_no_other_step_s(tmp_path: Path) -> None:
    leave(tmp_path, 10)
    note = local_checkpoint(tmp_path, 10).with_suffix(".json")
    local_checkpoint(tmp_path, 99).mkdir()
    note.rename(local_checkpoint(tmp_path, 99).with_suffix(".json"))
    assert newest(tmp_path) is None


def test_the_rows_of_metrics_beside_it_are_read_but_for_a_torn_one(tmp_path: Path) -> None:
    leave(tmp_path, 10)
    folder = local_checkpoint(tmp_path, 10)
    assert local_rows(folder) == ROWS
    with folder.with_suffix(".jsonl").open("a") as file:
        file.write('{"step"')
    assert local_rows(folder) == ROWS
    assert local_rows(local_checkpoint(tmp_path, 11)) == []
