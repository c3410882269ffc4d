"""What this machine knows about the instances that it requested."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from fintts_cli.infra import InstancePhase
from fintts_cli.places import LOCAL
from fintts_cli.runs.bill.terms import RESERVE
from fintts_cli.runs.instances import remove
from fintts_cli.runs.instances.requester import fate_of_asker
from fintts_cli.runs.instances.sightings import gone, sightings_of
from fintts_cli.runs.instances.tear_down import tear_down
from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.status.listing import look_at
from fintts_store.errors import InvalidRecord, KeyNotFound, StoreError
from fintts_store.layout import check_run_name
from fintts_store.opening import is_same_place
from fintts_store.runs.noted_process import Fate
from fintts_store.runs.records import Phase
from fintts_store.runs.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from fintts_cli.infra import Infra, InstanceState, Removed
    from fintts_cli.runs.bill.terms import Rates
    from fintts_cli.runs.journal import JournalEntry
    from fintts_cli.workplace.workplace import Workplace
    from fintts_store.runs.laptop import Laptop
    from fintts_store.runs.records import Result
    from fintts_store.runs.run_record import RunRecord
    from fintts_store.store import Store

EARLY = {
    InstancePhase.RUNNING: Phase.SETUP,
    InstancePhase.GONE: Phase.SETUP,
    InstancePhase.RECOVERING: Phase.PROVISIONING,
}
"""the phase of a run whose trainer has not reported one yet"""


class _AskedFor(TypedDict, total=False):
    launch: int | None
    rates: Rates
    earlier_seconds: float
    earlier_usd: Decimal


def instances_of(here: Workplace) -> Callable[[RunRecord, Store], InstanceView]:
    """`instance_of` on this machine, in the form that a listing calls."""
    return partial(instance_of, here)


def instance_of(here: Workplace, record: RunRecord, store: Store) -> InstanceView:
    """What this machine knows about a run's instance; an instance of the same name elsewhere does
    not count."""
    me = here.laptop()
    try:
        entry = here.journal.read(record.run)
    except InvalidRecord:
        return InstanceView(me=me, journal_is_silent=True)
    if entry is not None and not is_same_place(entry.store, store.url):
        return InstanceView(me=me, journal_is_silent=True)
    state = here.infra(entry.infra if entry else record.infra).state(record.run)
    if state is None or (entry is not None and _is_an_earlier_ones(state, entry)):
        return _never_seen(entry, me)
    launch, now = entry.launch if entry else None, datetime.now(UTC)
    is_exact = record.infra != LOCAL or state.exit_code is not None
    seen = sightings_of(state, record.run, launch, me, now, is_exact=is_exact) if launch else ()
    return InstanceView(
        name=state.where,
        is_live=state.is_live,
        phase=EARLY.get(state.phase) or Phase(state.phase),
        created_at=state.created_at,
        ended_at=state.ended_at,
        gpus=state.gpus,
        spans=state.spans,
        is_recovering=state.phase == InstancePhase.RECOVERING,
        message=state.message,
        seen=seen,
        me=me,
        **_asked_for(entry),
    )


def _is_an_earlier_ones(state: InstanceState, entry: JournalEntry) -> bool:
    """Whether the infra still reports an earlier instance, not the one requested last."""
    if entry.launch is None or state.is_live:
        return False
    by_whole_seconds = timedelta(seconds=0 if entry.infra == LOCAL else 5)
    return state.created_at < entry.requested_at - by_whole_seconds


def _never_seen(entry: JournalEntry | None, me: Laptop) -> InstanceView:
    """The view of an instance the infra has never seen. If this machine requested it, it is gone,
    unless the request is still in progress; if not, nothing is known."""
    if entry is None:
        return InstanceView(me=me)
    is_open = entry.created_at is None and entry.gone_at is None
    fate = fate_of_asker(entry.asked_by) if is_open else Fate.ENDED
    is_over = fate == Fate.UNKNOWN and datetime.now(UTC) >= entry.deadline_at + RESERVE
    if fate != Fate.ENDED and not is_over:
        return InstanceView(phase=Phase.PROVISIONING, me=me, **_asked_for(entry))
    ended_at = entry.gone_at or entry.requested_at
    was_rented = entry.created_at is not None and entry.gone_at is None
    is_said = entry.launch is not None and not was_rented and not is_over
    seen = (gone(entry.run, entry.launch, ended_at, me),) if entry.launch and is_said else ()
    return InstanceView(
        is_live=False,
        created_at=entry.created_at,
        ended_at=ended_at,
        seen=seen,
        me=me,
        **_asked_for(entry),
    )


def _asked_for(entry: JournalEntry | None) -> _AskedFor:
    """What this machine's journal says about the request."""
    if entry is None:
        return {}
    return {
        "launch": entry.launch,
        "rates": entry.rates,
        "earlier_seconds": entry.earlier_seconds,
        "earlier_usd": entry.earlier_usd,
    }


def known_infra(here: Workplace, run: str) -> Infra:
    """The infra that this machine requested the run's instance from; this machine if unknown."""
    entry = here.entry(run)
    return here.infra(entry.infra if entry is not None else LOCAL)


def remove_instance(here: Workplace, run: str, store: str | None) -> Removed:
    """Removes the instance that this machine requested under that name, for a run in the store at
    that address.

    Raises:
        CloudError: it could not be removed, and may be billing.
    """
    now = datetime.now(UTC)
    return remove.remove_instance(check_run_name(run), store, here.journal, here.infras(), now)


def take_down(here: Workplace, store: Store, run: str) -> Result:
    """Removes the run's instance and makes sure that the run has a result.

    Raises:
        CloudError: the instance belongs to another machine, or could not be removed.
        StoreError: the run does not exist, or cannot be read or written.
    """
    now = datetime.now(UTC)
    view = look_at(store, run, instances_of(here), now)
    return tear_down(store, here.infra(view.infra), here.journal, view, now)


def launched_here(here: Workplace) -> list[str]:
    """Runs whose instance this machine requested and has not seen gone, newest first."""
    entries, _ = here.journal.entries()
    return [entry.run for entry in reversed(entries) if entry.gone_at is None]


def store_launched_into(here: Workplace, run: str) -> str | None:
    """The store into which this machine launched the run; None if that store has no such run."""
    entry = here.entry(run)
    if entry is None:
        return None
    try:
        read_run(here.store_at(entry.store), run)
    except KeyNotFound:
        return None
    except StoreError:
        return entry.store  # the run may exist, so its instance must not be ended
    return entry.store


def live_elsewhere(here: Workplace, runs: set[str]) -> list[InstanceState]:
    """Live instances on this machine for runs that are not among these."""
    states = here.infra(LOCAL).instances()
    return [state for state in states if state.is_live and state.run not in runs]
