"""All runs of a store, side by side: what they cost to look at, and in which order they come."""

from __future__ import annotations

from datetime import timedelta

from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.status.listing import look_at_all
from fintts_store import layout
from fintts_store.runs.end_run import end_run
from fintts_store.runs.run_record import RunRecord
from fintts_store.runs.runs import create_run, write_status
from fintts_store.store import Store
from memory_store import CountingStore
from run_samples import START, record, result, status

RUNS, OLD_MANIFESTS = 200, 50


def nowhere(_record: RunRecord, _store: Store) -> InstanceView:
    return InstanceView()


def filled() -> CountingStore:
    """Runs that began minute by minute, each with manifests that nobody needs for a list."""
    store = CountingStore()
    for number in range(RUNS):
        run = f"run-{number:03}"
        create_run(store, record(run=run, created_at=START + timedelta(minutes=number)))
        write_status(store, status(run=run))
        end_run(store, result(run=run))
        for step in range(OLD_MANIFESTS):
            store.put(f"{layout.commits_prefix(run)}000001-{step:09}-0123abcd.json", b"{}")
    return store


def test_a_run_costs_five_requests_however_much_it_has_committed() -> None:
    store = filled()
    store.reads = store.listings = 0
    listing = look_at_all(store, nowhere, START)
    assert [view.run for view in listing.views] == [f"run-{n:03}" for n in reversed(range(RUNS))]
    assert store.reads == 3 * RUNS, "run.json, status.json, result.json"
    assert store.listings == 2 * RUNS + 1, "the revisions and the ledger of each, and the runs"


def test_those_that_are_damaged_are_named_in_their_order() -> None:
    store = filled()
    for run in ("run-150", "run-007"):
        store.put(layout.run_json_key(run), b"{")
    store.delete(layout.run_json_key("run-100"))
    listing = look_at_all(store, nowhere, START)
    assert len(listing.views) == RUNS - 3
    told = [error.message for error in listing.broken]
    assert [next(n for n in ("007", "100", "150") if n in text) for text in told] == [
        "007",
        "100",
        "150",
    ]
