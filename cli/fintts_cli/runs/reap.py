"""Which instances have no reason to live: past their deadline, or without a run.

Safe at any time: what is at work is left alone, and so is what somebody else may be working with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.session import require_sky
from fintts_cli.places import LOCAL
from fintts_cli.runs.at_work import Whose
from fintts_cli.runs.facts import facts_at
from fintts_cli.runs.listing import judge_now
from fintts_cli.runs.question import Question
from fintts_cli.runs.rates import Rates
from fintts_cli.runs.sighted import gone
from fintts_cli.runs.verdict import (
    RunFacts,
    Verdict,
    about,
    asked_of,
    is_of,
    is_past,
    judge,
    silence_of,
)
from fintts_cost.forecast import cost_so_far_usd
from fintts_store.errors import KeyNotFound, StoreError
from fintts_store.patience import IMPATIENT
from fintts_store.runs.end_run import end_run, result_by_store
from fintts_store.runs.ledger import write_sighting
from fintts_store.runs.records import StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

    from fintts_cli.infra import Infra, Sighting
    from fintts_cli.runs.journal import JournalEntry
    from fintts_cli.workplace import Workplace
    from fintts_store.runs.ledger import Laptop
    from fintts_store.store import Store


SECOND_LOOK_SECONDS = 20.0
"""after the first, at a heartbeat that seems old: one that has moved is well, and a clock is not"""


@dataclass(frozen=True, slots=True)
class Judged:
    """An instance with its verdict."""

    sighting: Sighting
    verdict: Verdict
    reason: str
    is_past_deadline: bool
    hourly_rate_usd: Decimal | None
    """of the dearest GPU that it may have; None where neither journal nor ledger knows it"""
    seconds: float
    """for how long it has lived"""
    whose: str | None = None
    """the user and the laptop that asked for it; None where that is this one, or nobody knows"""
    is_removed: bool = False
    remark: str | None = None
    """what is left to do after that"""

    @property
    def cost_usd(self) -> Decimal | None:
        """Up to now; None where nobody knows its rate."""
        rate = self.hourly_rate_usd
        return None if rate is None else cost_so_far_usd(self.seconds, rate)


@dataclass(frozen=True, slots=True)
class Findings:
    """Every instance, the oldest first, and what could not be found out."""

    judged: tuple[Judged, ...]
    unanswered: tuple[str, ...]
    remarks: tuple[str, ...]

    def of(self, verdict: Verdict) -> list[Judged]:
        """Those of one verdict."""
        return [one for one in self.judged if one.verdict == verdict]


def look_everywhere(
    here: Workplace, store: Store, now: datetime, wait: Callable[[float], object] = time.sleep
) -> Findings:
    """All that bears our label: on this machine, in SkyPilot, in the clouds' own lists.

    Stores are asked at the same time, each question with a limit.

    Args:
        here: this machine.
        store: the configured one, for what this machine did not ask for.
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
        wait(SECOND_LOOK_SECONDS)
        later = _facts_of(here, owned, store)
        facts = [_heard(*pair, now) for pair in zip(facts, later, strict=True)]
    judged = [_judged(one, own, known, now) for (one, own), known in zip(owned, facts, strict=True)]
    by_age = sorted(judged, key=lambda one: one.sighting.created_at)
    return Findings(tuple(by_age), tuple(unanswered), tuple(remarks))


def _infras(
    here: Workplace, entries: Iterable[JournalEntry], unanswered: list[str], remarks: list[str]
) -> list[Infra]:
    """This machine, and SkyPilot where it is installed; where it is missed, that is said."""

    local = here.infra(LOCAL)
    try:
        require_sky()
    except CloudError as error:
        is_missed = any(entry.infra != LOCAL and entry.gone_at is None for entry in entries)
        (unanswered if is_missed else remarks).append(f"{error.message}: no cloud was asked")
        return [local]
    return [local, here.infra(None)]


def _own(seen: Sighting, entry: JournalEntry | None) -> JournalEntry | None:
    return entry if entry is not None and is_of(seen, entry) else None


def _facts_of(
    here: Workplace, owned: Sequence[tuple[Sighting, JournalEntry | None]], store: Store
) -> list[RunFacts]:
    opened = partial(here.store_at, patience=IMPATIENT)
    asked = [
        (url, Question(url, partial(facts_at, opened, url, one.run)))
        for one, own in owned
        for url in [store.url if own is None else own.store]
    ]
    answers = [_answer(url, question) for url, question in asked]
    return [about(one, own, known) for (one, own), known in zip(owned, answers, strict=True)]


def _answer(url: str, question: Question[RunFacts]) -> RunFacts:
    """Whatever a store answers, it keeps no instance from being judged by what the cloud says."""
    try:
        return question.answer()
    except StoreError as error:
        return RunFacts(url, silence=error.message)
    except Exception as error:  # of any kind: what a server may answer is without limit
        return RunFacts(url, silence=f"{url} gives no sound answer: {error!r}")


def _heard(first: RunFacts, later: RunFacts, now: datetime) -> RunFacts:
    """A heartbeat that has moved between two looks is fresh, whatever the clocks say."""
    has_moved = later.heard_at is not None and later.heard_at != first.heard_at
    return replace(later, heard_at=now) if has_moved else later


def _judged(seen: Sighting, own: JournalEntry | None, facts: RunFacts, now: datetime) -> Judged:
    is_over, asked = is_past(seen, own, facts, now), asked_of(seen, facts)
    verdict, reason = judge(seen, own, facts, now, is_past=is_over)
    whose = None if own is not None or asked is None else asked.asker.whose
    rates = own.rates if own is not None else Rates(asked.rates_usd) if asked else None
    return Judged(
        sighting=seen,
        verdict=verdict,
        reason=f"{reason}; {whose} launched it" if whose else reason,
        is_past_deadline=is_over,
        hourly_rate_usd=rates.of(None) if rates else None,
        whose=whose,
        seconds=max((now - seen.created_at).total_seconds(), 0.0),
    )


def remove(here: Workplace, judged: Judged) -> Judged:
    """Removes the instance.

    Raises:
        CloudError: it could not be removed, and may be billing.
    """
    seen = judged.sighting
    here.infra(LOCAL if seen.infra == LOCAL else None).remove(seen)
    return replace(judged, is_removed=True)


def write_ends(here: Workplace, removed: Sequence[Judged]) -> list[Judged]:
    """Writes the last word of each run whose instance was removed, where there is none; of what
    cannot be written it remarks why. Stores are asked at the same time, with a limit."""
    now = datetime.now(UTC)
    asked = [(one, _ask_to_write(here, one, now)) for one in removed]
    return [replace(one, remark=_why_not(one, question)) for one, question in asked]


def _ask_to_write(here: Workplace, judged: Judged, now: datetime) -> Question[None]:
    whom = f"the store of run {judged.sighting.run}"
    return Question(whom, partial(_write_down, here, judged, now))


def _write_down(here: Workplace, judged: Judged, now: datetime) -> None:
    entry = _own(judged.sighting, here.journal.read(judged.sighting.run))
    if entry is None:
        return
    here.journal.change(entry.run, gone_at=now)
    store = here.store_at(entry.store, IMPATIENT)
    _conclude(store, here.laptop(), judged, entry.launch, now)


def _why_not(judged: Judged, question: Question[None]) -> str | None:
    """The instance is gone all the same."""
    run = judged.sighting.run
    try:
        question.answer()
    except KeyNotFound:  # nobody looks for the end of a run that was deleted
        return None
    except StoreError as error:
        return f"{error.message}; `fintts cloud down {run}` writes how run {run} ended"
    return None


def _conclude(store: Store, me: Laptop, judged: Judged, launch: int | None, now: datetime) -> None:
    """One that somebody else has written stays; a run that another launch works on has no end."""
    run = judged.sighting.run
    if launch is not None:
        write_sighting(store, gone(run, launch, now, me, alive_at=now))
    at_work = judge_now(store, run, me, now)
    if at_work.launch is not None and at_work.whose != Whose.NOBODYS:
        return
    reason = StopReason.DEADLINE if judged.is_past_deadline else StopReason.REQUESTED
    message = f"removed by `fintts cloud reap`: {judged.reason}"
    end_run(store, result_by_store(store, run, reason, message, ended_at=now, launch=launch))
