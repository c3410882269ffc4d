"""Whether an instance has a reason to live, judged by journal, labels, deadline and store. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from fintts_cli.runs.stop_words import how_it_stopped
from fintts_store.runs.ledger import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fintts_cli.infra import Sighting
    from fintts_cli.runs.journal import JournalEntry
    from fintts_store.runs.records import Result

ENDS_WITHIN = timedelta(minutes=15)
"""of its deadline: the last save takes two minutes at most, and SkyPilot's own teardown eleven"""
SETS_UP_WITHIN, SETUP_FACTOR = timedelta(minutes=20), 3
"""A first heartbeat is waited for so long, or for so many times what the set-up was estimated."""
HEARD_WITHIN = timedelta(minutes=15)
"""A heartbeat comes every few seconds; an instance that has lost the store for a while is waited
for."""


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
    heard_at: datetime | None = None
    """the run's last heartbeat"""
    heard_launch: int | None = None
    """whose heartbeat that is; None where it does not say"""
    launches: Mapping[datetime, int] = field(default_factory=dict[datetime, int])
    """by their deadlines, to the second"""
    asked: Mapping[datetime, Asked] = field(default_factory=dict[datetime, Asked])
    """the same launches as the ledger has them"""
    setup_seconds: float = 0.0
    """as it was estimated"""
    silence: str | None = None
    """why the store says nothing"""


def is_of(seen: Sighting, entry: JournalEntry) -> bool:
    """Whether this entry asked for it, and not another one of the same name: the deadline tells
    launches apart. What has no label is SkyPilot's, and so this machine's."""
    return seen.deadline_at in (None, entry.deadline_at.replace(microsecond=0))


def launch_of(seen: Sighting, own: JournalEntry | None, facts: RunFacts) -> int | None:
    """Which launch of its run asked for it, as far as is known."""
    if seen.deadline_at is not None and seen.deadline_at in facts.launches:
        return facts.launches[seen.deadline_at]
    return own.launch if own is not None else None


def asked_of(seen: Sighting, facts: RunFacts) -> Asked | None:
    """What the ledger says of the launch that the label names; None where it has none."""
    return None if seen.deadline_at is None else facts.asked.get(seen.deadline_at)


def is_past(seen: Sighting, own: JournalEntry | None, facts: RunFacts, now: datetime) -> bool:
    """Whether its deadline is over, with all the time that ending may take: it is a bill then and
    nothing else, whoever launched it."""
    asked = asked_of(seen, facts)
    kept = timedelta(seconds=asked.reserve_seconds if asked else 0.0)
    deadline_at = seen.deadline_at or (own.deadline_at if own else None)
    return deadline_at is not None and now > deadline_at + max(ENDS_WITHIN, kept)


def about(seen: Sighting, own: JournalEntry | None, facts: RunFacts) -> RunFacts:
    """The facts, without what they say of another launch's instance."""
    launch = launch_of(seen, own, facts)
    if launch is None:
        return facts
    is_heard = facts.heard_launch in (None, launch)
    ends_it = facts.result is not None and facts.result.launch in (None, launch)
    return replace(
        facts,
        heard_at=facts.heard_at if is_heard else None,
        result=facts.result if ends_it else None,
    )


def judge(
    seen: Sighting, own: JournalEntry | None, facts: RunFacts, now: datetime, *, is_past: bool
) -> tuple[Verdict, str]:
    """The verdict, and why.

    Args:
        own: the journal's entry, where this machine asked for the instance.
        facts: of the run of that name, in the store that it was given or in the configured one.
        is_past: whether its deadline is over, with the time that ending takes.
    """
    if is_past:
        return Verdict.ORPHAN, "past its deadline"
    facts = about(seen, own, facts)
    return _without_a_reason(seen, own, facts) or _by_its_run(seen, own, facts, now)


def _without_a_reason(
    seen: Sighting, own: JournalEntry | None, facts: RunFacts
) -> tuple[Verdict, str] | None:
    """What can be said without knowing what the run does."""
    if own is not None and own.gone_at is not None:
        return Verdict.ORPHAN, "was removed from here, but is still running"
    if seen.is_cut_off:
        cut = "its launch was cut off, and no process continues it"
        return (Verdict.ORPHAN if own is not None else Verdict.DOUBTFUL), cut
    if facts.silence is not None:
        return Verdict.KEPT, f"the state of its run is unknown: {facts.silence}"
    return None


def _by_its_run(
    seen: Sighting, own: JournalEntry | None, facts: RunFacts, now: datetime
) -> tuple[Verdict, str]:
    is_certain = own is not None or seen.deadline_at in facts.deadlines
    if facts.result is not None and facts.result.ended_at > seen.created_at:
        ended = f"its run {how_it_stopped(facts.result.stop_reason, facts.result.step)}"
        return (Verdict.ORPHAN if is_certain else Verdict.DOUBTFUL), ended
    launch, newest = launch_of(seen, own, facts), max(facts.launches.values(), default=0)
    if launch is not None and launch < newest:
        again = f"belongs to launch {launch}, but its run was launched again (launch {newest})"
        return (Verdict.ORPHAN if own is not None else Verdict.DOUBTFUL), again
    silence = silence_of(seen, facts, now)
    if silence is not None:
        return (Verdict.ORPHAN if own is not None else Verdict.DOUBTFUL), silence
    if facts.is_there:
        return Verdict.KEPT, "at work" if own is not None else "at work, launched elsewhere"
    if own is not None:
        return Verdict.ORPHAN, f"its run is no longer in {facts.store}"
    return Verdict.DOUBTFUL, f"launched elsewhere; {facts.store} has no run of this name"


def silence_of(seen: Sighting, facts: RunFacts, now: datetime) -> str | None:
    """Why nobody can be at work there, though it has not ended; None where somebody may be."""
    began = seen.instance_since
    if not facts.is_there or began is None:
        return None
    if facts.heard_at is not None and facts.heard_at >= began:
        quiet = now - facts.heard_at
        return f"silent for {_minutes(quiet)}, and billing" if quiet > HEARD_WITHIN else None
    age = now - began
    patience = max(SETS_UP_WITHIN, SETUP_FACTOR * timedelta(seconds=facts.setup_seconds))
    if age <= patience:
        return None
    return f"has said nothing in the {_minutes(age)} since it was rented, and is billing"


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f} minutes"
