"""Finds instances that have no reason to live: past their deadline, or without a run.

Safe at any time: it leaves alone any instance that is, or may be, at work.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.server.session import require_sky
from fintts_cli.runs.bill.terms import Rates
from fintts_cli.runs.instances.at_work import Whose
from fintts_cli.runs.instances.sightings import gone
from fintts_cli.runs.reap.facts import facts_at
from fintts_cli.runs.reap.judgement import (
    Judgement,
    RunFacts,
    about,
    asked_of,
    is_of,
    is_past,
    judge,
    silence_of,
)
from fintts_cli.runs.status.listing import judge_now
from fintts_cli.timed_call import TimedCall
from fintts_cost.money import cost_so_far_usd
from fintts_store.errors import KeyNotFound, StoreError
from fintts_store.network.patience import IMPATIENT
from fintts_store.runs.end_run import end_run, result_by_store
from fintts_store.runs.ledger import write_sighting
from fintts_store.runs.records import StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

    from fintts_cli.infra import Infra, Sighting
    from fintts_cli.runs.journal import JournalEntry
    from fintts_cli.workplace.workplace import Workplace
    from fintts_store.runs.laptop import Laptop
    from fintts_store.store import Store


@dataclass(frozen=True, slots=True)
class JudgedInstance:
    """An instance with its verdict."""

    sighting: Sighting
    verdict: Judgement
    reason: str
    is_past_deadline: bool
    hourly_rate_usd: Decimal | None
    """the rate of its most expensive possible GPU; None if neither journal nor ledger knows it"""
    seconds: float
    """its age"""
    whose: str | None = None
    """the user and laptop that requested it; None if this laptop did, or if unknown"""
    is_removed: bool = False
    remark: str | None = None
    """what remains to be done after that"""

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost up to now; None if its rate is unknown."""
        rate = self.hourly_rate_usd
        return None if rate is None else cost_so_far_usd(self.seconds, rate)


@dataclass(frozen=True, slots=True)
class Findings:
    """Every instance, oldest first, and what could not be determined."""

    judged: tuple[JudgedInstance, ...]
    unanswered: tuple[str, ...]
    remarks: tuple[str, ...]

    def of(self, verdict: Judgement) -> list[JudgedInstance]:
        """The instances with one verdict."""
        return [one for one in self.judged if one.verdict == verdict]


def look_everywhere(
    here: Workplace, store: Store, now: datetime, wait: Callable[[float], object] = time.sleep
) -> Findings:
    """Every instance with our label: on this machine, in SkyPilot, and in the clouds' own lists.

    The stores are asked in parallel, each call with a time limit.

    Args:
        here: this machine.
        store: the configured store, for instances that this machine did not request.
        wait: takes the seconds until a second look.
    """
    entries, damaged = here.journal.entries()
    asked_for = {entry.run: entry for entry in entries}
    seen: list[Sighting] = []
    unanswered = [error.message for error in damaged]
    remarks: list[str] = []
    for infra in _infras(here, entries, unanswered, remarks):
        census = infra.census()
        seen += census.sightings
        unanswered += census.unanswered
        remarks += census.remarks
    owned = [(one, _own(one, asked_for.get(one.run))) for one in seen]
    facts = _facts_of(here, owned, store)
    if any(silence_of(one, known, now) for (one, _), known in zip(owned, facts, strict=True)):
        wait(here.second_look_seconds)
        later = _facts_of(here, owned, store)
        facts = [_with_fresh_heartbeat(*pair, now) for pair in zip(facts, later, strict=True)]
    judged = [_judged(one, own, known, now) for (one, own), known in zip(owned, facts, strict=True)]
    by_age = sorted(judged, key=lambda one: one.sighting.created_at)
    return Findings(tuple(by_age), tuple(unanswered), tuple(remarks))


def _infras(
    here: Workplace, entries: Iterable[JournalEntry], unanswered: list[str], remarks: list[str]
) -> list[Infra]:
    """Every infra, SkyPilot if installed; a remark says if it is needed but missing."""
    *own, sky = here.infras()
    try:
        require_sky()
    except CloudError as error:
        is_missed = any(here.is_by_sky(one.infra) and one.gone_at is None for one in entries)
        (unanswered if is_missed else remarks).append(f"{error.message}: no cloud was asked")
        return own
    return [*own, sky]


def _own(seen: Sighting, entry: JournalEntry | None) -> JournalEntry | None:
    return entry if entry is not None and is_of(seen, entry) else None


def _facts_of(
    here: Workplace, owned: Sequence[tuple[Sighting, JournalEntry | None]], store: Store
) -> list[RunFacts]:
    opened = partial(here.store_at, patience=IMPATIENT)
    asked = [
        (url, TimedCall(url, partial(facts_at, opened, url, one.run), here.answers_within_seconds))
        for one, own in owned
        for url in [store.url if own is None else own.store]
    ]
    answers = [_answer(url, call) for url, call in asked]
    return [about(one, own, known) for (one, own), known in zip(owned, answers, strict=True)]


def _answer(url: str, call: TimedCall[RunFacts]) -> RunFacts:
    """The store's facts about a run; if the store fails, the reason. The verdict then rests on the
    cloud."""
    try:
        return call.result()
    except StoreError as error:
        return RunFacts(url, silence=error.message)
    except Exception as error:  # a server may answer anything
        return RunFacts(url, silence=f"{url} does not answer correctly: {error!r}")


def _with_fresh_heartbeat(first: RunFacts, later: RunFacts, now: datetime) -> RunFacts:
    """The facts of two looks: a heartbeat that moved in between is fresh, whatever the clocks
    say."""
    has_moved = later.heard_at is not None and later.heard_at != first.heard_at
    return replace(later, heard_at=now) if has_moved else later


def _judged(
    seen: Sighting, own: JournalEntry | None, facts: RunFacts, now: datetime
) -> JudgedInstance:
    is_over, asked = is_past(seen, own, facts, now), asked_of(seen, facts)
    verdict, reason = judge(seen, own, facts, now, is_past=is_over)
    whose = None if own is not None or asked is None else asked.asker.whose
    rates = own.rates if own is not None else Rates(asked.rates_usd) if asked else None
    return JudgedInstance(
        sighting=seen,
        verdict=verdict,
        reason=f"{reason}; {whose} launched it" if whose else reason,
        is_past_deadline=is_over,
        hourly_rate_usd=rates.of(None) if rates else None,
        whose=whose,
        seconds=max((now - seen.created_at).total_seconds(), 0.0),
    )


def remove(here: Workplace, judged: JudgedInstance) -> JudgedInstance:
    """Removes the instance.

    Raises:
        CloudError: it could not be removed, and may be billing.
    """
    seen = judged.sighting
    here.infra(None if here.is_by_sky(seen.infra) else seen.infra).remove(seen)
    return replace(judged, is_removed=True)


def write_ends(here: Workplace, removed: Sequence[JudgedInstance]) -> list[JudgedInstance]:
    """Records the end of each run whose instance was removed, if none is recorded; a remark says
    what could not be written and why. The stores are asked in parallel, with a time limit."""
    now = datetime.now(UTC)
    asked = [(one, _ask_to_write(here, one, now)) for one in removed]
    return [replace(one, remark=_why_not(one, call)) for one, call in asked]


def _ask_to_write(here: Workplace, judged: JudgedInstance, now: datetime) -> TimedCall[None]:
    whom = f"the store of run {judged.sighting.run}"
    return TimedCall(whom, partial(_write_down, here, judged, now), here.answers_within_seconds)


def _write_down(here: Workplace, judged: JudgedInstance, now: datetime) -> None:
    entry = _own(judged.sighting, here.journal.read(judged.sighting.run))
    if entry is None:
        return
    here.journal.change(entry.run, gone_at=now)
    store = here.store_at(entry.store, IMPATIENT)
    _conclude(store, here.laptop(), judged, entry.launch, now)


def _why_not(judged: JudgedInstance, call: TimedCall[None]) -> str | None:
    """Why the end could not be recorded; None if it was."""
    run = judged.sighting.run
    try:
        call.result()
    except KeyNotFound:  # a deleted run needs no end
        return None
    except StoreError as error:
        return f"{error.message}; `fintts cloud down {run}` writes how run {run} ended"
    return None


def _conclude(
    store: Store, me: Laptop, judged: JudgedInstance, launch: int | None, now: datetime
) -> None:
    """Records the run's end. Keeps an end that is already recorded; records none while another
    launch works on the run."""
    run = judged.sighting.run
    if launch is not None:
        write_sighting(store, gone(run, launch, now, me, alive_at=now))
    at_work = judge_now(store, run, me, now)
    if at_work.launch is not None and at_work.whose != Whose.NO_ONES:
        return
    reason = StopReason.DEADLINE if judged.is_past_deadline else StopReason.REQUESTED
    message = f"removed by `fintts cloud reap`: {judged.reason}"
    end_run(store, result_by_store(store, run, reason, message, ended_at=now, launch=launch))
