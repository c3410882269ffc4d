"""Names become things: settings, the store, where a task runs, and the run that is meant."""

from __future__ import annotations

import difflib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, TypedDict

from fintts_cli import state_folder
from fintts_cli.state_folder import state_directory as state_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from pathlib import Path

    from fintts_cli.infra import Infra, InstanceState, Removed
    from fintts_cli.known_stores import KnownStores
    from fintts_cli.prices.market import OfferSource
    from fintts_cli.runs.instance_view import InstanceView
    from fintts_cli.runs.journal import Journal, JournalEntry
    from fintts_cli.runs.rates import Rates
    from fintts_cli.settings import ReadSettings, Settings
    from fintts_cli.terminal import Terminal
    from fintts_store.patience import Patience
    from fintts_store.runs.ledger import Laptop
    from fintts_store.runs.records import RunRecord
    from fintts_store.store import Store


class _AskedFor(TypedDict, total=False):
    launch: int | None
    rates: Rates
    earlier_seconds: float
    earlier_usd: Decimal


def open_state(terminal: Terminal) -> None:
    """Makes sure that this machine can remember what is asked for, before anything is uploaded.

    Raises:
        ConfigError: the folder is not known, or cannot be written.
    """
    for sentence in state_folder.open_state():
        terminal.warn(sentence)


def read_sources(
    terminal: Terminal, options: Mapping[str, object], config: Path | None
) -> ReadSettings:
    """The settings with their origins; what looks like a misspelt variable is warned about."""
    from fintts_cli.settings import read_settings

    found = read_settings(options, config=config)
    for sentence in found.warnings:
        terminal.warn(sentence)
    return found


def with_base_model(terminal: Terminal, found: ReadSettings, *, may_download: bool) -> ReadSettings:
    """The same settings, with a base model of Hugging Face's as the folder where it lies here.

    Raises:
        ConfigError: it cannot be downloaded.
    """
    from fintts_cli.hub import HubModel, cached, download

    model = found.settings.base_model
    if not isinstance(model, HubModel):
        return found
    folder = download(model, terminal) if may_download else cached(model)
    if folder is None:
        return found
    return replace(found, settings=found.settings.model_copy(update={"base_model": folder}))


def load_settings(
    terminal: Terminal, options: Mapping[str, object], config: Path | None
) -> Settings:
    """The settings of a command that need not know where they come from."""
    return read_sources(terminal, options, config).settings


def store_url(settings: Settings) -> str:
    """The whole address of the store that is set, else of a folder beside what this machine
    remembers; the server that AWS's own settings name is in it.

    Raises:
        StoreError: the address is malformed, or those settings cannot be used.
    """
    from fintts_store.opening import at_endpoint

    url = settings.store or str(state_directory() / "store")
    return at_endpoint(url, settings.s3_endpoint_url)


def open_runs(
    settings: Settings, run: str | None = None, patience: Patience | None = None
) -> Store:
    """The store that holds the runs; for one that was launched here, the one it was given."""
    from fintts_store.layout import check_run_name

    if settings.store is None and run is not None:
        check_run_name(run)
        entry = _entry(run)
        if entry is not None:
            return open_at(entry.store, patience)
    return open_at(store_url(settings), patience)


def open_at(url: str, patience: Patience | None = None) -> Store:
    """The store at an address. A folder that this machine has used as one must still be it."""
    from fintts_store.patience import CARRYING

    return known_stores().open(url, patience or CARRYING)


def known_stores() -> KnownStores:
    """The folders that this machine has used as stores."""
    from fintts_cli.known_stores import KnownStores

    return KnownStores(state_directory() / "stores")


def find_runs(
    terminal: Terminal,
    run: str | None,
    config: Path | None,
    patience: Patience | None = None,
    **options: str | None,
) -> Store:
    """The store in which a command on a run looks for it; `run` is as the user gave it."""
    return open_runs(load_settings(terminal, options, config), run, patience)


def _entry(run: str) -> JournalEntry | None:
    """The journal's entry of the run; a damaged one says nothing."""
    from fintts_store.errors import InvalidRecord

    with suppress(InvalidRecord):
        return open_journal().read(run)
    return None


def this_laptop(*, make: bool = False) -> Laptop:
    """This machine, as the ledger of a run names it."""
    from fintts_cli.runs import laptop

    return laptop.this_laptop(state_directory(), make=make)


def open_journal() -> Journal:
    """Every instance that was asked for from here."""
    from fintts_cli.runs.journal import Journal

    return Journal(state_directory() / "journal")


def infra_of(name: str | None) -> Infra:
    """Where tasks run: this machine, or what SkyPilot makes of `name`, its own term."""
    return _infra_in(state_directory(), name or "")


@cache
def _infra_in(state: Path, name: str) -> Infra:
    """One a process: it remembers for some seconds what a cloud has answered."""
    from fintts_cli.infra.local.local import LOCAL, LocalInfra
    from fintts_cli.infra.sky.sky import SkyInfra

    return LocalInfra(state) if name == LOCAL else SkyInfra(name, state)


def price_snapshot() -> OfferSource:
    """The prices that come along: for what has to be quick and offline."""
    from fintts_cli.prices.snapshot import Snapshot

    return Snapshot()


def offer_source() -> OfferSource:
    """SkyPilot's prices, where it is installed and may use a cloud; else those that come along."""
    from fintts_cli.infra.sky.catalog import SkyCatalog
    from fintts_cli.prices.market import FirstToKnow

    return FirstToKnow(SkyCatalog(), price_snapshot())


def instance_of(record: RunRecord, store: Store) -> InstanceView:
    """What this machine knows of a run's instance; nothing of one of the same name elsewhere."""
    from fintts_cli.infra import InstancePhase
    from fintts_cli.infra.local.local import LOCAL
    from fintts_cli.runs.instance_view import InstanceView
    from fintts_cli.runs.sighted import sightings_of
    from fintts_store.errors import InvalidRecord
    from fintts_store.opening import is_same_place
    from fintts_store.runs.records import Phase

    me = this_laptop()
    try:
        entry = open_journal().read(record.run)
    except InvalidRecord:
        return InstanceView(me=me, journal_is_silent=True)
    if entry is not None and not is_same_place(entry.store, store.url):
        return InstanceView(me=me, journal_is_silent=True)
    state = infra_of(entry.infra if entry else record.infra).state(record.run)
    if state is None or (entry is not None and _is_an_earlier_ones(state, entry)):
        return _never_seen(entry, me)
    launch, now = entry.launch if entry else None, datetime.now(UTC)
    is_exact = record.infra != LOCAL or state.exit_code is not None
    seen = sightings_of(state, record.run, launch, me, now, is_exact=is_exact) if launch else ()
    # Before the trainer speaks for itself.
    early = {
        InstancePhase.RUNNING: Phase.SETUP,
        InstancePhase.GONE: Phase.SETUP,
        InstancePhase.RECOVERING: Phase.PROVISIONING,
    }
    return InstanceView(
        name=state.where,
        is_live=state.is_live,
        phase=early.get(state.phase) or Phase(state.phase),
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
    """Whether the infra does not know yet of what was asked for last."""
    from fintts_cli.infra.local.local import LOCAL

    if entry.launch is None or state.is_live:
        return False
    by_whole_seconds = timedelta(seconds=0 if entry.infra == LOCAL else 5)
    return state.created_at < entry.requested_at - by_whole_seconds


def known_infra(run: str) -> Infra:
    """Where the run was asked for from here; this machine, where nobody knows."""
    from fintts_cli.infra.local.local import LOCAL

    entry = _entry(run)
    return infra_of(entry.infra if entry is not None else LOCAL)


def remove_instance(run: str, store: str | None) -> Removed:
    """Removes what this machine asked for under that name, for a run in the store at that address.

    Raises:
        CloudError: it could not be removed, and may be billing.
    """
    from fintts_cli.infra.local.local import LOCAL
    from fintts_cli.runs import removing
    from fintts_store.layout import check_run_name

    infras = (infra_of(LOCAL), infra_of(None))
    now = datetime.now(UTC)
    return removing.remove_instance(check_run_name(run), store, open_journal(), infras, now)


def launched_here() -> list[str]:
    """Runs whose instance this machine asked for and has not seen gone, the newest first."""
    entries, _ = open_journal().entries()
    return [entry.run for entry in reversed(entries) if entry.gone_at is None]


def store_launched_into(run: str) -> str | None:
    """The store that this machine launched the run into; None where that has no such run."""
    from fintts_store.errors import KeyNotFound, StoreError
    from fintts_store.runs.runs import read_run

    entry = _entry(run)
    if entry is None:
        return None
    try:
        read_run(open_at(entry.store), run)
    except KeyNotFound:
        return None
    except StoreError:
        return entry.store  # nobody can tell, so nothing is to be ended
    return entry.store


def live_elsewhere(runs: set[str]) -> list[InstanceState]:
    """Instances that live on this machine for runs that are not among these."""
    from fintts_cli.infra.local.local import LOCAL

    states = infra_of(LOCAL).instances()
    return [state for state in states if state.is_live and state.run not in runs]


def _never_seen(entry: JournalEntry | None, me: Laptop) -> InstanceView:
    """Asked for here and never there: it is gone, unless it may just be being asked for. Not asked
    for here: nobody can tell."""
    from fintts_cli.runs.asker_process import fate_of_asker
    from fintts_cli.runs.billing import RESERVE
    from fintts_cli.runs.instance_view import InstanceView
    from fintts_cli.runs.sighted import gone
    from fintts_store.runs.noted_process import Fate
    from fintts_store.runs.records import Phase

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
    """What this machine wrote down of it."""
    if entry is None:
        return {}
    return {
        "launch": entry.launch,
        "rates": entry.rates,
        "earlier_seconds": entry.earlier_seconds,
        "earlier_usd": entry.earlier_usd,
    }


def pick_run(store: Store, run: str | None) -> str:
    """The run that was named, or the newest.

    Raises:
        UsageProblem: the store has no such run, or none at all.
    """
    from fintts_cli.errors import UsageProblem
    from fintts_store.runs.runs import list_runs, newest_run

    if run is None:
        newest = newest_run(store)
        if newest is None:
            raise UsageProblem(f"{store.url} holds no runs", "`fintts cloud launch` starts one")
        return newest
    runs = list_runs(store)
    if run not in runs:
        meant = difflib.get_close_matches(run, runs, n=1)
        hint = f"did you mean {meant[0]}?" if meant else "`fintts cloud ps` lists all runs"
        raise UsageProblem(f"there is no run {run} in {store.url}", hint)
    return run
