"""Reads what the store and the infra know about runs, and merges it for one moment."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from fintts_cli.errors import CliError
from fintts_cli.runs.instances.at_work import AtWork, judge
from fintts_cli.runs.instances.claim import newest_claim
from fintts_cli.runs.instances.sightings import news_of, with_sightings
from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.status.merge import view_run
from fintts_store.errors import InvalidRecord, InvalidRunName, KeyNotFound, StoreError
from fintts_store.network.parallel import in_parallel
from fintts_store.runs.laptop import UNKNOWN_LAPTOP
from fintts_store.runs.ledger import read_ledger, write_sighting
from fintts_store.runs.runs import list_runs, read_run, readable_result, readable_status

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from fintts_cli.runs.status.view import RunView
    from fintts_store.runs.laptop import Laptop
    from fintts_store.runs.run_record import RunRecord
    from fintts_store.store import Store

    InstanceOf = Callable[[RunRecord, Store], InstanceView]

RUNS_AT_ONCE = 12
"""The files are small; the round trip to the store takes most of the time."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class RunList:
    """All runs, newest first, and the reasons why others could not be read."""

    views: list[RunView]
    broken: list[StoreError | CliError]


def look_at(store: Store, run: str, instance_of: InstanceOf, now: datetime) -> RunView:
    """One run as it is now.

    Raises:
        StoreError: the run does not exist, or cannot be read.
    """
    record = read_run(store, run)
    # Read the instance first: in the other order, a run that ends in between would seem lost.
    instance = instance_of(record, store)
    return _view(store, run, record, instance, now)


def _view(
    store: Store, run: str, record: RunRecord, instance: InstanceView, now: datetime
) -> RunView:
    # Read the ledger before the rest: a run that ends in between then belongs to a known launch.
    ledger = read_ledger(store, run)
    damaged: list[StoreError] = []
    heartbeat = readable_status(store, run, damaged.append)
    result = readable_result(store, run, damaged.append)
    me = instance.me or UNKNOWN_LAPTOP
    claim = newest_claim(store, run) if result is None else None
    seen = with_sightings(ledger, news_of(ledger, instance.seen))
    judged = judge(record, seen, claim, heartbeat, result, me, now)
    return view_run(record, heartbeat, result, instance, now, ledger, judged, tuple(damaged))


def judge_now(store: Store, run: str, me: Laptop, now: datetime) -> AtWork:
    """Tells whose instance is at work, according to the store at this moment.

    Raises:
        StoreError: the store cannot be read.
    """
    record, ledger, claim = read_run(store, run), read_ledger(store, run), newest_claim(store, run)
    heartbeat, result = readable_status(store, run), readable_result(store, run)
    return judge(record, ledger, claim, heartbeat, result, me, now)


def write_news(store: Store, view: RunView) -> None:
    """Writes what this machine's infra says into the ledger; ignores a store that cannot be
    written."""
    with suppress(StoreError):
        for seen in view.news:
            write_sighting(store, seen)


def look_at_all(store: Store, instance_of: InstanceOf, now: datetime) -> RunList:
    """Every run. A damaged run is listed by name and hides no other; a run whose cloud does not
    answer shows what the store knows. Takes six requests per run, a few runs at a time.

    Raises:
        StoreError: the store cannot be read at all.
    """
    broken: list[StoreError | CliError] = []
    records = _of_each(list_runs(store), lambda run: read_run(store, run), broken)
    # Read the instances before the rest, as `look_at` does; one at a time, since SkyPilot answers
    # them.
    instances: dict[str, InstanceView] = {}
    for run, record in records.items():
        try:
            instances[run] = instance_of(record, store)
        except (CliError, InvalidRecord) as error:
            broken.append(error)
            instances[run] = InstanceView()

    views = _of_each(
        list(records), lambda run: _view(store, run, records[run], instances[run], now), broken
    ).values()
    for view in views:
        broken += [_damaged(view.run, error) for error in view.damaged]
        broken += view.ledger.damaged
    return RunList(sorted(views, key=lambda view: view.started_at, reverse=True), broken)


def _of_each(
    runs: list[str], work: Callable[[str], Found], broken: list[StoreError | CliError]
) -> dict[str, Found]:
    """What `work` returns for each run, in order, without the runs that turn out to be broken."""
    found: dict[str, Found] = {}
    errors: dict[str, StoreError] = {}

    def note(run: str, stop: threading.Event) -> None:
        if stop.is_set():
            return
        try:
            found[run] = work(run)
        except InvalidRecord as error:
            errors[run] = _damaged(run, error)
        except (InvalidRunName, KeyNotFound) as error:
            errors[run] = error

    in_parallel(note, runs, at_once=RUNS_AT_ONCE)
    broken += [errors[run] for run in runs if run in errors]
    return {run: found[run] for run in runs if run in found}


def _damaged(run: str, error: StoreError) -> InvalidRecord:
    return InvalidRecord(f"run {run}: its record is damaged: {error.message}", error.hint)
