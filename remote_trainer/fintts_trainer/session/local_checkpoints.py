"""Checkpoints on this disk that are not in the store yet.

Each has a file that describes it, and a file with the rows of metrics that the store lacked at that
time. If a job fails before the upload, the run's next job in this workspace uploads the newest
local checkpoint, if it is newer than the store's.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from fintts_store.checkpoints.commit import CheckpointFacts
from fintts_store.disk.durable import write_file
from fintts_store.disk.errors import explained
from fintts_store.disk.reading import read_limited
from fintts_store.errors import InvalidRecord
from fintts_store.runs.fields import Moment, Name, RunName, Step, Value
from fintts_store.runs.limits import METRICS_BYTES
from fintts_store.runs.record import Record
from fintts_store.runs.records import MetricRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from fintts_store.runs.run_record import RunRecord


class LocalCheckpoint(Record):
    """checkpoint-<step>.json, which describes the folder checkpoint-<step>."""

    run: RunName
    created_at: Moment
    """of the run: an earlier run may have had the same name"""
    step: Step
    config_digest: Name
    base_model_digest: Name
    monitor: Name
    mode: Literal["min", "max"]
    value: Value = None

    @property
    def facts(self) -> CheckpointFacts:
        """The facts for the manifest."""
        return CheckpointFacts(
            self.step,
            self.config_digest,
            self.base_model_digest,
            self.monitor,
            self.mode,
            self.value,
        )


def local_checkpoint(workspace: Path, step: int) -> Path:
    """The folder of a checkpoint that is not committed yet."""
    return workspace / "checkpoints" / f"checkpoint-{step}"


def describe_local(
    workspace: Path, record: RunRecord, facts: CheckpointFacts, rows: Iterable[MetricRow]
) -> None:
    """Records what this step's folder holds; call it once the folder is complete.

    Args:
        rows: metrics up to this step that may not be in the store.

    Raises:
        StoreError: the disk cannot be written.
    """
    left = LocalCheckpoint(
        run=record.run,
        created_at=record.created_at,
        step=facts.step,
        config_digest=facts.config_digest,
        base_model_digest=facts.base_model_digest,
        monitor=facts.monitor,
        mode=facts.mode,
        value=facts.value,
    )
    folder = local_checkpoint(workspace, facts.step)
    write_file(_rows(folder), "".join(row.dump() + "\n" for row in rows).encode())
    write_file(_note(folder), left.dump().encode())  # last: it marks the checkpoint as complete


def remove_local(workspace: Path, step: int) -> None:
    """Removes the local checkpoint of a step, once it is in the store or will be made again."""
    folder = local_checkpoint(workspace, step)
    _note(folder).unlink(missing_ok=True)  # first: a folder without it does not count
    _rows(folder).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def newest_local(
    workspace: Path, record: RunRecord, config_digest: str, above_step: int
) -> tuple[Path, CheckpointFacts] | None:
    """The newest checkpoint of this run and configuration beyond a step."""
    fitting = [
        (folder, left)
        for folder, left in _all_local(workspace)
        if (left.run, left.created_at) == (record.run, record.created_at)
        and (left.config_digest, left.base_model_digest)
        == (config_digest, record.base_model.digest)
        and left.step > above_step
    ]
    newest = max(fitting, key=lambda one: one[1].step, default=None)
    return None if newest is None else (newest[0], newest[1].facts)


def local_rows(folder: Path) -> list[MetricRow]:
    """The rows of metrics beside a local checkpoint; unreadable ones are skipped."""
    try:
        lines = read_limited(_rows(folder), METRICS_BYTES).splitlines()
    except (FileNotFoundError, InvalidRecord):
        return []
    rows: list[MetricRow] = []
    for line in lines:
        with suppress(InvalidRecord):
            rows.append(MetricRow.load(line, str(folder)))
    return rows


def _all_local(workspace: Path) -> Iterator[tuple[Path, LocalCheckpoint]]:
    with explained(workspace):
        notes = sorted((workspace / "checkpoints").glob("checkpoint-*.json"))
    for note in notes:
        try:
            left = LocalCheckpoint.load(read_limited(note), str(note))
        except (FileNotFoundError, InvalidRecord):
            continue
        folder = local_checkpoint(workspace, left.step)
        if _note(folder) == note and folder.is_dir():
            yield folder, left


def _note(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _rows(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.jsonl")
