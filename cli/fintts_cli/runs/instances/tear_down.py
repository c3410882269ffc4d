"""Ends a run from outside: tears down its instance, and records the end if the trainer could
not."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from fintts_cli.errors import CloudError
from fintts_cli.runs.instances.sightings import gone
from fintts_store.errors import InvalidRecord, StoreError
from fintts_store.runs.end_run import end_run, is_of_an_earlier, result_by_store
from fintts_store.runs.ledger import write_sighting
from fintts_store.runs.records import Result, StopReason
from fintts_store.runs.runs import read_result, readable_result

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_cli.infra import Infra
    from fintts_cli.runs.instances.at_work import AtWork
    from fintts_cli.runs.journal import Journal
    from fintts_cli.runs.status.view import RunView
    from fintts_store.store import Store

TORN_DOWN = "torn down from a terminal; the work after the last checkpoint is lost"
NOTHING_SAVED = "torn down from a terminal before the first checkpoint"
TOO_LATE = "the run had no instance when its deadline passed"


def tear_down(store: Store, infra: Infra, journal: Journal, view: RunView, now: datetime) -> Result:
    """Removes the instance, then records how the run ended if the trainer has not.

    Calling it twice has the same effect as calling it once.

    Raises:
        CloudError: the instance belongs to another machine, or could not be removed.
        StoreError: the result could not be written, or is damaged; the instance is gone anyway.
    """
    launch = _launch_that_ends(store, infra, view, now)
    if view.has_instance_here:  # otherwise an instance of this name belongs to another store
        infra.down(view.run)
        with suppress(StoreError):  # a full disk here does not undo the end of the run
            journal.change(view.run, gone_at=now)
    _note_gone(store, view, launch, now)
    result = readable_result(store, view.run)
    if result is None or is_of_an_earlier(result, launch):
        is_late = view.is_too_late
        why = (StopReason.DEADLINE, TOO_LATE) if is_late else (StopReason.REQUESTED, TORN_DOWN)
        last = result_by_store(store, view.run, *why, ended_at=now, launch=launch)
        if not (is_late or last.kept_steps):
            last = last.model_copy(update={"message": NOTHING_SAVED})
        end_run(store, last)
        result = _read_end(store, view.run) or last
    return result


def _read_end(store: Store, run: str) -> Result | None:
    """The result. A damaged one stays: a later version of this program may be able to read it."""
    try:
        return read_result(store, run)
    except InvalidRecord as error:
        raise unknown_end(run, error) from None


def unknown_end(run: str, error: StoreError) -> InvalidRecord:
    """Says that the record of the run's end is damaged."""
    return InvalidRecord(
        f"it is unknown how run {run} ended, because its record is damaged: {error.message}",
        error.hint,
    )


def _launch_that_ends(store: Store, infra: Infra, view: RunView, now: datetime) -> int | None:
    """The number of the newest launch, if this machine may end it.

    Raises:
        CloudError: it belongs to another laptop, and may be at work.
    """
    if view.at_work.is_anothers:
        refuse_anothers(infra, view.run, view.at_work)
    newest = view.ledger.newest
    return None if newest is None else newest.number


def refuse_anothers(infra: Infra, run: str, at_work: AtWork) -> NoReturn:
    """Refuses to end another laptop's instance. One that no list shows may still exist: this laptop
    may use another cloud account, or none.

    Raises:
        CloudError: always; it says what is known.
    """
    if at_work.is_heard:
        raise CloudError(
            f"another machine runs the instance of run {run}: {at_work.sentence}",
            f"`fintts cloud stop {run}` reaches its trainer through the store",
        )
    if any(seen.run == run for seen in infra.census().sightings):
        raise CloudError(
            f"another laptop launched the instance of run {run}: {at_work.sentence}",
            f"`fintts cloud down {run}` there ends it; `fintts cloud reap` shows it here",
        )
    until = f"; {at_work.until}" if at_work.until else ""
    raise CloudError(
        f"this machine cannot tell whether run {run} has an instance: {at_work.sentence}",
        f"`fintts cloud down {run}` there ends it{until}",
    )


def _note_gone(store: Store, view: RunView, launch: int | None, now: datetime) -> None:
    """Records the instance as gone; a store that cannot be written does not block a teardown."""
    seen = list(view.news)
    if launch is not None and view.instance_is_live:
        seen.append(gone(view.run, launch, now, view.me, alive_at=now))
    with suppress(StoreError):
        for each in seen:
            write_sighting(store, each)


def what_goes_on(infra: Infra, run: str) -> str:
    """Says, after an interruption, whether anything is left that may be billing."""
    state = infra.state(run)
    if state is not None and state.is_live:
        return goes_on(run)
    return f"interrupted; run {run} has no instance"


def goes_on(run: str) -> str:
    """Says how to return to a run that keeps running."""
    return (
        f"run {run} keeps running; `fintts cloud watch {run}` shows it again, "
        f"`fintts cloud stop {run}` ends it"
    )
