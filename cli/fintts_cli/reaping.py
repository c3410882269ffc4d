"""Which instances have no reason to live: past their deadline, or without a run.

Safe at any time: what is at work is left alone, and so is what somebody else may be working with.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from fintts_cli import wiring
from fintts_cli.ending import last_word
from fintts_cli.errors import CloudError
from fintts_cli.run_forecast import LOCAL
from fintts_cost.forecast import cost_so_far_usd
from fintts_store.errors import InvalidRecord, KeyNotFound, StoreError
from fintts_store.opening import open_store
from fintts_store.runs.records import StopReason
from fintts_store.runs.runs import read_result, read_run, read_status, write_result_once

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from fintts_cli.infra import Infra, Sighting
    from fintts_cli.journal import JournalEntry
    from fintts_store.runs.records import Result
    from fintts_store.store import Store

ENDS_WITHIN = timedelta(minutes=15)
"""of its deadline: the last save takes two minutes at most, and SkyPilot's own teardown eleven"""


class Verdict(StrEnum):
    """What is to become of an instance."""

    KEPT = "kept"
    ORPHAN = "orphan"
    DOUBTFUL = "doubtful"
    """it seems to be nobody's, and only its owner can say so"""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a store says of a run."""

    store: str
    is_there: bool = False
    deadlines: frozenset[datetime] = frozenset()
    """that the run was ever given, to the second"""
    result: Result | None = None
    silence: str | None = None
    """why the store says nothing"""


@dataclass(frozen=True, slots=True)
class Judged:
    """An instance with its verdict."""

    sighting: Sighting
    verdict: Verdict
    reason: str
    is_past_deadline: bool
    hourly_rate_usd: Decimal | None
    """of the dearest GPU that it may have; None where this machine did not ask for it"""
    seconds: float
    """for how long it has lived"""
    is_removed: bool = False

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


def look_everywhere(store: Store, now: datetime) -> Findings:
    """All that bears our label: on this machine, in SkyPilot, in the clouds' own lists.

    Args:
        store: the configured one, for what this machine did not ask for.
    """
    journal = wiring.open_journal()
    entries, damaged = journal.entries()
    asked_for = {entry.run: entry for entry in entries}
    judged: list[Judged] = []
    unanswered = [error.message for error in damaged]
    remarks: list[str] = []
    for infra in _infras(entries, unanswered, remarks):
        census = infra.census()
        judged += [_judged(one, asked_for.get(one.run), store, now) for one in census.sightings]
        unanswered += census.unanswered
        remarks += census.remarks
    by_age = sorted(judged, key=lambda one: one.sighting.created_at)
    return Findings(tuple(by_age), tuple(unanswered), tuple(remarks))


def _infras(
    entries: Iterable[JournalEntry], unanswered: list[str], remarks: list[str]
) -> list[Infra]:
    """This machine, and SkyPilot where it is installed; where it is missed, that is said."""
    from fintts_cli.infra.sky_session import require_sky

    here = wiring.infra_of(LOCAL)
    try:
        require_sky()
    except CloudError as error:
        is_missed = any(entry.infra != LOCAL and entry.gone_at is None for entry in entries)
        (unanswered if is_missed else remarks).append(f"{error.message}: no cloud was asked")
        return [here]
    return [here, wiring.infra_of(None)]


def _judged(seen: Sighting, entry: JournalEntry | None, store: Store, now: datetime) -> Judged:
    own = entry if entry is not None and is_of(seen, entry) else None
    facts = read_facts(store, seen.run) if own is None else _facts_at(own.store, seen.run)
    deadline_at = seen.deadline_at or (own.deadline_at if own else None)
    is_past = deadline_at is not None and now > deadline_at + ENDS_WITHIN
    verdict, reason = judge(seen, own, facts, is_past=is_past)
    return Judged(
        sighting=seen,
        verdict=verdict,
        reason=reason,
        is_past_deadline=is_past,
        hourly_rate_usd=own.rates.of(None) if own else None,
        seconds=max((now - seen.created_at).total_seconds(), 0.0),
    )


def is_of(seen: Sighting, entry: JournalEntry) -> bool:
    """Whether this entry asked for it, and not another one of the same name: the deadline tells
    launches apart. What has no label is SkyPilot's, and so this machine's."""
    return seen.deadline_at in (None, entry.deadline_at.replace(microsecond=0))


def judge(
    seen: Sighting, own: JournalEntry | None, facts: RunFacts, *, is_past: bool
) -> tuple[Verdict, str]:
    """The verdict, and why.

    Args:
        own: the journal's entry, where this machine asked for the instance.
        facts: of the run of that name, in the store that it was given or in the configured one.
        is_past: whether its deadline is over, with the time that ending takes.
    """
    if is_past:
        return Verdict.ORPHAN, "past its deadline"
    if own is not None and own.gone_at is not None:
        return Verdict.ORPHAN, "was removed from here, and lives all the same"
    if seen.is_cut_off:
        cut = "its launch was cut off, and nobody goes on with it"
        return (Verdict.ORPHAN if own is not None else Verdict.DOUBTFUL), cut
    if facts.silence is not None:
        return Verdict.KEPT, f"nobody knows of its run: {facts.silence}"
    is_certain = own is not None or seen.deadline_at in facts.deadlines
    if facts.result is not None and facts.result.ended_at > seen.created_at:
        ended = f"its run has ended ({facts.result.stop_reason})"
        return (Verdict.ORPHAN if is_certain else Verdict.DOUBTFUL), ended
    if facts.is_there:
        return Verdict.KEPT, "at work" if own is not None else "at work, asked for elsewhere"
    if own is not None:
        return Verdict.ORPHAN, f"its run is no longer in {facts.store}"
    return Verdict.DOUBTFUL, f"asked for elsewhere; {facts.store} has no run of this name"


def _facts_at(url: str, run: str) -> RunFacts:
    try:
        return read_facts(open_store(url), run)
    except StoreError as error:
        return RunFacts(url, silence=error.message)


def read_facts(store: Store, run: str) -> RunFacts:
    """What the store has of a run of this name."""
    try:
        record, status = read_run(store, run), _status(store, run)
        given = [record.deadline_at, *([status] if status else [])]
        return RunFacts(
            store=store.url,
            is_there=True,
            deadlines=frozenset(moment.replace(microsecond=0) for moment in given),
            result=read_result(store, run),
        )
    except KeyNotFound:
        return RunFacts(store.url)
    except StoreError as error:
        return RunFacts(store.url, silence=error.message)


def _status(store: Store, run: str) -> datetime | None:
    """The deadline of the run's newest instance."""
    with suppress(InvalidRecord):
        status = read_status(store, run)
        return None if status is None else status.deadline_at
    return None


def remove(judged: Judged) -> Judged:
    """Removes the instance, and writes the run's last word where there is none.

    Raises:
        CloudError: it could not be removed, and may be billing.
    """
    seen = judged.sighting
    journal, now = wiring.open_journal(), datetime.now(UTC)
    wiring.infra_of(LOCAL if seen.infra == LOCAL else None).remove(seen)
    with suppress(StoreError):  # it is gone, whether or not that can be written down
        entry = journal.read(seen.run)
        if entry is not None and is_of(seen, entry):
            journal.change(seen.run, gone_at=now)
            _conclude(open_store(entry.store), judged, now)
    return replace(judged, is_removed=True)


def _conclude(store: Store, judged: Judged, now: datetime) -> None:
    """One that somebody else has written stays."""
    run = judged.sighting.run
    reason = StopReason.DEADLINE if judged.is_past_deadline else StopReason.REQUESTED
    message = f"removed by `fintts cloud reap`: {judged.reason}"
    write_result_once(store, last_word(store, run, now, message, reason))
