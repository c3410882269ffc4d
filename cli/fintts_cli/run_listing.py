"""Reads what the store and the infra know of runs, and merges it for one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_cli.run_view import InstanceView, RunView, view_run
from fintts_store.errors import InvalidRecord, InvalidRunName, KeyNotFound
from fintts_store.runs import list_runs, read_result, read_run, read_status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from fintts_store.errors import StoreError
    from fintts_store.records import RunRecord, Status
    from fintts_store.store import Store

    InstanceOf = Callable[[RunRecord, Store], InstanceView]


@dataclass(frozen=True, slots=True)
class Listing:
    """All runs, the newest first, and what kept others from being read."""

    views: list[RunView]
    broken: list[StoreError | CloudError]


def look_at(store: Store, run: str, instance_of: InstanceOf, now: datetime) -> RunView:
    """One run as it is now.

    Raises:
        StoreError: there is no such run, or it cannot be read.
    """
    record = read_run(store, run)
    # The instance first: read the other way round, a run that ends meanwhile would seem lost.
    instance = instance_of(record, store)
    return view_run(record, _heartbeat(store, run), read_result(store, run), instance, now)


def _nobody_knows(_record: RunRecord, _store: Store) -> InstanceView:
    return InstanceView()


def _heartbeat(store: Store, run: str) -> Status | None:
    """A damaged one is no worse than none: the next overwrites it."""
    try:
        return read_status(store, run)
    except InvalidRecord:
        return None


def look_at_all(store: Store, instance_of: InstanceOf, now: datetime) -> Listing:
    """Every run; one that is damaged is named, and hides no other. Of one whose cloud gives no
    answer there is what the store knows.

    Raises:
        StoreError: the store cannot be read at all.
    """
    views: list[RunView] = []
    broken: list[StoreError | CloudError] = []
    for run in list_runs(store):
        try:
            views.append(look_at(store, run, instance_of, now))
        except (InvalidRecord, InvalidRunName, KeyNotFound) as error:
            broken.append(error)
        except CloudError as error:
            broken.append(error)
            views.append(look_at(store, run, _nobody_knows, now))
    return Listing(sorted(views, key=lambda view: view.started_at, reverse=True), broken)
