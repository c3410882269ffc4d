"""How fast earlier runs in the store, or a dry run on this machine, did the same work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from fintts_cli.estimate.figures import MeasuredPace
from fintts_cli.estimate.pace import find_dry_pace
from fintts_cli.places import LOCAL
from fintts_inputs.config import RunConfig
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs.runs import list_runs, read_result, read_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fintts_cli.settings.model import Settings
    from fintts_cli.workplace import Workplace
    from fintts_store.runs.records import Result, RunRecord
    from fintts_store.store import Store

FEWEST_STEPS = 20
"""With fewer steps, the first ones, which compile and allocate, weigh too much."""


def measured_pace(
    here: Workplace, settings: Settings, sizes: Mapping[str, int] | None
) -> MeasuredPace | None:
    """The pace of an earlier run, else of a dry run on this machine; None if there is neither.

    Args:
        sizes: bytes of the base model's files; None if it is not on this machine.

    Raises:
        StoreError: earlier runs cannot be read.
    """
    if sizes is None:  # no run can have had it as it is
        return None
    earlier = find_pace(here.store_of(settings), settings, sizes)
    if earlier is not None or settings.infra != LOCAL:
        return earlier

    return find_dry_pace(here.state, settings, sizes)


def find_pace(
    store: Store, settings: Settings, model_sizes: Mapping[str, int]
) -> MeasuredPace | None:
    """The newest finished run with the same model, batch and accelerator.

    Args:
        model_sizes: bytes of the base model's files. Models with equal names and sizes count as
            equal: the SHA-256 of gigabytes would take longer than an estimate may.

    Raises:
        StoreError: the store cannot be read.
    """
    newest: tuple[RunRecord, Result, RunConfig] | None = None
    for run in list_runs(store):
        found = _finished(store, run)
        if found is None or not _is_comparable(found, settings, model_sizes):
            continue
        if newest is None or found[1].ended_at > newest[1].ended_at:
            newest = found
    return None if newest is None else _pace(*newest)


def _finished(store: Store, run: str) -> tuple[RunRecord, Result, RunConfig] | None:
    """The run's measured times; None if its records are broken."""
    try:
        result = read_result(store, run)
        if result is None or result.step < FEWEST_STEPS or not result.phase_seconds:
            return None
        record = read_run(store, run)
        return record, result, RunConfig.model_validate(record.config)
    except (InvalidRecord, KeyNotFound, ValidationError):
        return None


def _is_comparable(
    found: tuple[RunRecord, Result, RunConfig], settings: Settings, model_sizes: Mapping[str, int]
) -> bool:
    record, _, config = found
    sizes = {file.name: file.size_bytes for file in record.base_model.files}
    here, there = settings.infra == LOCAL, record.infra == LOCAL
    theirs, ours = config.training, settings.training
    return (
        here == there
        and (here or _has_only(record, settings.first_gpus))
        and sizes == dict(model_sizes)
        and theirs.batch_size == ours.batch_size
        and theirs.gradient_accumulation == ours.gradient_accumulation
    )


def _has_only(record: RunRecord, gpus: str) -> bool:
    """The run's GPU; None if it could choose, since the store does not say which it got."""
    return record.gpus == gpus and not record.alternatives


def _pace(record: RunRecord, result: Result, config: RunConfig) -> MeasuredPace:
    spent = result.phase_seconds
    checks = result.step // config.validation.every
    started = (result.started_at - record.created_at).total_seconds()
    return MeasuredPace(
        source=f"run {record.run}",
        seconds_per_step=spent.get("training", 0.0) / result.step,
        seconds_per_validation=spent.get("validation", 0.0) / checks if checks else None,
        setup_seconds=started + spent.get("setup", 0.0) if result.claims == 1 else None,
    )
