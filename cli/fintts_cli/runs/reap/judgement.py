"""Judges from journal, labels, deadline and store whether an instance has a reason to live.
Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from fintts_cli.infra import Holder
from fintts_cli.runs.deadline import deadline_of_instance, labelled
from fintts_cli.runs.status.stop_reason import how_it_stopped
from fintts_store.runs.ledger import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fintts_cli.infra import Sighting
    from fintts_cli.runs.journal import JournalEntry
    from fintts_store.runs.records import Result

ENDS_WITHIN = timedelta(minutes=15)
"""after its deadline: the last save takes two minutes at most, SkyPilot's own teardown eleven"""
SETS_UP_WITHIN, SETUP_FACTOR = timedelta(minutes=20), 3
"""The wait for a first heartbeat: this long, or this many times the estimated set-up."""
HEARD_WITHIN = timedelta(minutes=15)
"""Heartbeats come every few seconds; this leaves time for an instance that has lost the store for a
while."""


class Judgement(StrEnum):
    """What to do with an instance."""

    KEPT = "kept"
    ORPHAN = "orphan"
    DOUBTFUL = "doubtful"
    """it seems to have no run, but only its owner can tell"""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a store says about a run."""

    store: str
    is_there: bool = False
    deadlines: frozenset[datetime] = frozenset()
    """every deadline the run was given, to the second"""
    result: Result | None = None
    heard_at: datetime | None = None
    """the run's last heartbeat"""
    heard_launch: int | None = None
    """the launch that sent the heartbeat; None if it does not say"""
    launches: Mapping[datetime, int] = field(default_factory=dict[datetime, int])
    """launch numbers by deadline, to the second"""
    asked: Mapping[datetime, Asked] = field(default_factory=dict[datetime, Asked])
    """the same launches as recorded in the ledger"""
    setup_seconds: float = 0.0
    """the estimated set-up time"""
    silence: str | None = None
    """why the store gave no facts"""


def is_of(seen: Sighting, entry: JournalEntry) -> bool:
    """Whether this entry requested the instance, and not another of the same name: the deadline
    tells launches apart. One that SkyPilot lists without a label comes from this machine; one that
    only its cloud lists may belong to anyone."""
    if seen.deadline_at is None:
        return seen.holder != Holder.CLOUD
    return seen.deadline_at == labelled(entry.deadline_at)


def launch_of(seen: Sighting, own: JournalEntry | None, facts: RunFacts) -> int | None:
    """The launch of the run that requested the instance, as far as known."""
    if seen.deadline_at is not None and seen.deadline_at in facts.launches:
        return facts.launches[seen.deadline_at]
    return own.launch if own is not None else None


def asked_of(seen: Sighting, facts: RunFacts) -> Asked | None:
    """The ledger's record of the launch that the label names; None if there is none."""
    return None if seen.deadline_at is None else facts.asked.get(seen.deadline_at)


def is_past(seen: Sighting, own: JournalEntry | None, facts: RunFacts, now: datetime) -> bool:
    """Whether its deadline and all the time that ending may take have passed: then it only costs
    money, no matter who launched it."""
    asked = asked_of(seen, facts)
    kept = timedelta(seconds=asked.reserve_seconds if asked else 0.0)
    deadline_at = deadline_of_instance(seen, own)
    return deadline_at is not None and now > deadline_at + max(ENDS_WITHIN, kept)


def about(seen: Sighting, own: JournalEntry | None, facts: RunFacts) -> RunFacts:
    """The facts without those about another launch's instance."""
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
) -> tuple[Judgement, str]:
    """The verdict and its reason.

    Args:
        own: the journal's entry, if this machine requested the instance.
        facts: about the run of that name, from the store it was launched into or the configured
            one.
        is_past: whether its deadline and the time that ending takes have passed.
    """
    if is_past:
        return Judgement.ORPHAN, "past its deadline"
    facts = about(seen, own, facts)
    return _without_a_reason(seen, own, facts) or _by_its_run(seen, own, facts, now)


def _without_a_reason(
    seen: Sighting, own: JournalEntry | None, facts: RunFacts
) -> tuple[Judgement, str] | None:
    """The verdict on an instance without knowing what its run does."""
    if own is not None and own.gone_at is not None:
        return Judgement.ORPHAN, "was removed from this machine, but is still running"
    if seen.is_cut_off:
        cut = "its launch was interrupted, and no process continues it"
        return (Judgement.ORPHAN if own is not None else Judgement.DOUBTFUL), cut
    if seen.trouble is not None:
        return (Judgement.ORPHAN if own is not None else Judgement.DOUBTFUL), seen.trouble
    if facts.silence is not None:
        return Judgement.KEPT, f"the state of its run is unknown: {facts.silence}"
    return None


def _by_its_run(
    seen: Sighting, own: JournalEntry | None, facts: RunFacts, now: datetime
) -> tuple[Judgement, str]:
    is_certain = own is not None or seen.deadline_at in facts.deadlines
    if facts.result is not None and facts.result.ended_at > seen.created_at:
        ended = f"its run {how_it_stopped(facts.result.stop_reason, facts.result.step)}"
        return (Judgement.ORPHAN if is_certain else Judgement.DOUBTFUL), ended
    launch, newest = launch_of(seen, own, facts), max(facts.launches.values(), default=0)
    if launch is not None and launch < newest:
        again = f"belongs to launch {launch}, but its run was launched again (launch {newest})"
        return (Judgement.ORPHAN if own is not None else Judgement.DOUBTFUL), again
    silence = silence_of(seen, facts, now)
    if silence is not None:
        return (Judgement.ORPHAN if own is not None else Judgement.DOUBTFUL), silence
    if facts.is_there:
        return Judgement.KEPT, "at work" if own is not None else "at work, launched elsewhere"
    if own is not None:
        return Judgement.ORPHAN, f"its run is no longer in {facts.store}"
    return Judgement.DOUBTFUL, f"launched elsewhere; {facts.store} has no run of this name"


def silence_of(seen: Sighting, facts: RunFacts, now: datetime) -> str | None:
    """Why no trainer can be at work there although the run has not ended; None if one may be.

    A managed job that waits for its first instance has the time of an instance that sets up. One
    that has lost its instance goes on waiting until its deadline.
    """
    if not facts.is_there:
        return None
    is_waiting = seen.instance_since is None
    began = seen.instance_since or seen.created_at
    if facts.heard_at is not None and (is_waiting or facts.heard_at >= began):
        quiet = now - facts.heard_at
        is_silent = quiet > HEARD_WITHIN and not is_waiting
        return f"silent for {_minutes(quiet)}, and billing" if is_silent else None
    age = now - began
    if age <= _set_up_within(seen, facts):
        return None
    if is_waiting:
        return f"has waited {_minutes(age)} for an instance, longer than a launch may wait"
    return f"has sent no heartbeat in the {_minutes(age)} since it was rented, and is billing"


def _set_up_within(seen: Sighting, facts: RunFacts) -> timedelta:
    """How long the first heartbeat may take."""
    asked = asked_of(seen, facts)
    setup = timedelta(seconds=facts.setup_seconds)
    ready = timedelta(seconds=asked.launch_patience_seconds if asked else 0.0)
    return max(SETS_UP_WITHIN, SETUP_FACTOR * setup, ready + setup)


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f} minutes"
