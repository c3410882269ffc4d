"""Ends a run from outside: the last word where the trainer could not speak it, and the teardown."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_cli.run_view import FRESH_WITHIN
from fintts_store.checkpoints.commit import list_manifests
from fintts_store.checkpoints.retention import best_of, newest_of
from fintts_store.errors import StoreError
from fintts_store.runs.claims import highest_claim
from fintts_store.runs.records import Result, StopReason
from fintts_store.runs.runs import read_result, read_run, read_status, write_result_once

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_cli.infra import Infra
    from fintts_cli.journal import Journal
    from fintts_cli.run_view import RunView
    from fintts_store.store import Store

TORN_DOWN = "torn down from the terminal; what came after the last checkpoint is lost"


def tear_down(store: Store, infra: Infra, journal: Journal, view: RunView, now: datetime) -> Result:
    """Removes the instance; then, if the trainer has not said how the run ended, says it.

    Doing it twice is the same as once.

    Raises:
        CloudError: the instance is not this machine's, or could not be removed.
        StoreError: the result could not be written; the instance is gone all the same.
    """
    _refuse_elsewhere(view, now)
    if view.instance_is_live is not None:  # else one of this name is another store's
        infra.down(view.run)
    with suppress(StoreError):  # a full disk here is no reason to leave the run without its end
        journal.change(view.run, gone_at=now)
    result = read_result(store, view.run)
    if result is None:
        write_result_once(store, last_word(store, view.run, now, TORN_DOWN, StopReason.REQUESTED))
        result = read_result(store, view.run)
    assert result is not None
    return result


def what_goes_on(infra: Infra, run: str) -> str:
    """After an interruption: whether anything is left that may be billing."""
    state = infra.state(run)
    if state is not None and state.is_live:
        return goes_on(run)
    return f"interrupted; run {run} has no instance"


def goes_on(run: str) -> str:
    """How to come back to a run that was left alone."""
    return (
        f"run {run} goes on; `fintts cloud watch {run}` shows it again, "
        f"`fintts cloud stop {run}` ends it"
    )


def _refuse_elsewhere(view: RunView, now: datetime) -> None:
    """An instance that this machine does not know, but that is heard of, is somebody else's."""
    if view.instance_is_live is not None or view.updated_at is None or view.has_ended:
        return
    if now - view.updated_at < FRESH_WITHIN:
        raise CloudError(
            f"run {view.run} is not an instance of this machine, and its trainer is at work",
            f"`fintts cloud stop {view.run}` reaches it through the store",
        )


def last_word(store: Store, run: str, now: datetime, message: str, reason: StopReason) -> Result:
    """How the run ended, as far as the store knows it."""
    record, status = read_run(store, run), read_status(store, run)
    # A damaged manifest is no reason to leave a run without its last word.
    manifests = list_manifests(store, run, on_unreadable=lambda _name, _error: None)
    newest, best = newest_of(manifests), best_of(manifests)
    return Result(
        run=run,
        stop_reason=reason,
        step=newest.step if newest else 0,
        best_step=best.step if best else None,
        best_value=best.value if best else None,
        monitor=newest.monitor if newest else "",
        kept_steps=tuple(sorted(manifest.step for manifest in manifests)),
        phase_seconds={},
        samples_seen=0,
        claims=highest_claim(store, run),
        started_at=status.started_at if status else record.created_at,
        ended_at=now,
        message=message,
    )
