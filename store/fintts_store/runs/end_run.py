"""Writes result.json, the record that ends a run. No other module creates it."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from fintts_store import layout
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.retention import best_of, newest_of
from fintts_store.errors import KeyExists, StoreError
from fintts_store.layout import CommitName
from fintts_store.runs.claims import highest_claim
from fintts_store.runs.limits import KEPT_STEPS
from fintts_store.runs.records import Result, StopReason
from fintts_store.runs.run_record import RunRecord
from fintts_store.runs.runs import read_run, readable_result, readable_status
from fintts_store.store import Store


def _pass_over(_name: CommitName, _error: StoreError) -> None:
    """Skips a damaged manifest, which must not keep a run from its result."""


def end_run(store: Store, result: Result) -> bool:
    """Writes result.json unless it exists; returns whether it did.

    Replaces the result of an earlier launch, which does not end this one.

    Raises:
        InvalidRecord: readers would refuse this result; nothing is written.
        StoreError: the store cannot be written.
    """
    key = layout.result_key(result.run)
    document = result.dump()
    Result.load(document, key)  # a copy with changed fields has not been validated yet
    try:
        store.create(key, document.encode())
    except KeyExists:
        before = readable_result(store, result.run)
        if before is None or not is_of_an_earlier(before, result.launch):
            return False
        store.put(key, document.encode())
    return True


def is_of_an_earlier(result: Result, launch: int | None) -> bool:
    """Whether the result is that of an earlier launch."""
    return launch is not None and result.launch is not None and result.launch < launch


def result_by_store(
    store: Store,
    run: str,
    reason: StopReason,
    message: str,
    *,
    ended_at: datetime,
    launch: int | None,
    phase_seconds: Mapping[str, float] | None = None,
    samples_seen: int = 0,
) -> Result:
    """The result of a run whose trainer has not written one, completed from the store's records.

    Raises:
        StoreError: run.json, the claims or the commits cannot be read.
    """
    record, status = read_run(store, run), readable_status(store, run)
    manifests = list_manifests(store, run, on_unreadable=_pass_over)
    newest, best = newest_of(manifests), best_of(manifests)
    return Result(
        run=run,
        launch=launch,
        stop_reason=reason,
        step=newest.step if newest else 0,
        best_step=best.step if best else None,
        best_value=best.value if best else None,
        monitor=_monitor_of(record, newest),
        kept_steps=kept_steps(manifests),
        phase_seconds=dict(phase_seconds or {}),
        samples_seen=samples_seen,
        claims=highest_claim(store, run),
        started_at=status.started_at if status else record.created_at,
        ended_at=ended_at,
        encoded=status.encoded if status else None,
        message=message,
    )


def kept_steps(manifests: Iterable[Manifest]) -> tuple[int, ...]:
    """The steps with a checkpoint, ascending; the newest if a record cannot hold all."""
    return tuple(sorted(manifest.step for manifest in manifests)[-KEPT_STEPS:])


def _monitor_of(record: RunRecord, newest: Manifest | None) -> str:
    stopping = record.config.get("early_stopping")
    monitor = stopping.get("monitor") if isinstance(stopping, dict) else None
    if isinstance(monitor, str):
        return monitor
    return newest.monitor if newest else ""
