"""Reads what a store says about a run whose instance was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.runs.deadline import labelled
from fintts_cli.runs.reap.judgement import RunFacts
from fintts_store.errors import KeyNotFound, StoreError
from fintts_store.runs.ledger import read_ledger
from fintts_store.runs.runs import read_run, readable_result, readable_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_store.runs.run_record import RunRecord
    from fintts_store.store import Store


def facts_at(open_at: Callable[[str], Store], url: str, run: str) -> RunFacts:
    """The facts about a run in the store at `url`; if the store cannot be opened, the facts say
    why."""
    try:
        return read_facts(open_at(url), run)
    except StoreError as error:
        return RunFacts(url, silence=error.message)


def read_facts(store: Store, run: str) -> RunFacts:
    """The facts that the store holds about a run of this name."""
    try:
        record, status = read_run(store, run), readable_status(store, run)
        given = [record.deadline_at, *([status.deadline_at] if status else [])]
        launches = read_ledger(store, run).launches
        asked = [launch.asked for launch in launches if launch.asked is not None]
        given += [each.deadline_at for each in asked]
        return RunFacts(
            store=store.url,
            is_there=True,
            deadlines=frozenset(moment.replace(microsecond=0) for moment in given),
            result=readable_result(store, run),
            heard_at=status.updated_at if status else None,
            heard_launch=status.launch if status else None,
            launches={labelled(each.deadline_at): each.launch for each in asked},
            asked={labelled(each.deadline_at): each for each in asked},
            setup_seconds=_setup_seconds(record),
        )
    except KeyNotFound:
        return RunFacts(store.url)
    except StoreError as error:
        return RunFacts(store.url, silence=error.message)


def _setup_seconds(record: RunRecord) -> float:
    estimated = record.estimate.get("setup_seconds")
    return float(estimated) if isinstance(estimated, int | float) else 0.0
