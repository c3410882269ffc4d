"""Judges whose instance is at work on a run. Every command asks this before it ends something,
records an end, or requests another instance. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from fintts_cli.runs.bill.terms import BillingTerms, terms_of
from fintts_cli.runs.bill.witness import ends, is_about
from fintts_store.runs.ledger import Evidence
from fintts_store.runs.records import Phase

if TYPE_CHECKING:
    from fintts_store.runs.laptop import Laptop
    from fintts_store.runs.ledger import Launch, Ledger
    from fintts_store.runs.noted_process import NotedProcess
    from fintts_store.runs.records import Result, Status
    from fintts_store.runs.run_record import RunRecord

FRESH_WITHIN = timedelta(seconds=30)
"""A heartbeat no older than this counts as fresh: a trainer is at work."""

BUSY = (Phase.SETUP, Phase.ENCODING, Phase.TRAINING, Phase.VALIDATING, Phase.SAVING)
"""the phases of a trainer that is busy"""


class Whose(StrEnum):
    """Who asked for the instance that is at work."""

    NO_ONES = "no one's"
    MINE = "mine"
    ANOTHERS = "another's"


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a run's newest claim says about its holder."""

    number: int
    launch: int | None = None
    """None if the trainer belongs to no launch, or names none"""


@dataclass(frozen=True, slots=True)
class AtWork:
    """Who is at work at one moment."""

    whose: Whose
    launch: int | None = None
    """the launch at work; None for a trainer started by `fintts train`"""
    host: str = ""
    """the laptop that requested the instance"""
    requested_at: datetime | None = None
    over_at: datetime | None = None
    """the latest moment at which the instance ends"""
    heard_at: datetime | None = None
    """the trainer's last heartbeat"""
    is_heard: bool = False
    """whether the last heartbeat is fresh"""
    asked_by: NotedProcess | None = None
    """the process that requested the instance; None if it was not recorded"""

    @property
    def is_anothers(self) -> bool:
        """Whether the instance belongs to another laptop, so that this one must leave it alone."""
        return self.whose == Whose.ANOTHERS

    @property
    def sentence(self) -> str:
        """A sentence that says who is at work."""
        if self.launch is None:
            return "its trainer is running, and this laptop did not launch it"
        since = "" if self.requested_at is None else f" at {_clock(self.requested_at)}"
        return f"{self.host} launched it{since} (launch {self.launch})"

    @property
    def until(self) -> str:
        """The latest end of the instance, in words."""
        return "" if self.over_at is None else f"it ends at {_clock(self.over_at)} at the latest"


IDLE = AtWork(Whose.NO_ONES)


def judge(
    record: RunRecord,
    ledger: Ledger,
    claim: Claimed | None,
    status: Status | None,
    result: Result | None,
    me: Laptop,
    now: datetime,
) -> AtWork:
    """Tells whose instance is at work on the run.

    The newest launch counts from the moment it takes its number until its instance was seen gone,
    its trainer recorded how the run ended, or its time is over. A fresh heartbeat of the newest
    claim outweighs the last of these.
    """
    newest = ledger.newest
    heard = _heartbeat_of(claim, status)
    if newest is not None:
        terms = terms_of(newest, ledger, record, status)
        own = (
            heard if heard and is_about(heard, newest, terms.requested_at, is_newest=True) else None
        )
        if own is not None or not is_over(newest, terms, own, result, now):
            return _judged(newest, terms, own, result, me, now)
    if heard is not None and result is None and _is_fresh(heard, now) and heard.phase in BUSY:
        return AtWork(Whose.ANOTHERS, launch=heard.launch, heard_at=heard.updated_at, is_heard=True)
    return IDLE


def _judged(
    newest: Launch,
    terms: BillingTerms,
    own: Status | None,
    result: Result | None,
    me: Laptop,
    now: datetime,
) -> AtWork:
    if is_over(newest, terms, own, result, now):
        return IDLE
    is_mine = newest.asked is not None and newest.asked.asker.id == me.id
    return AtWork(
        Whose.MINE if is_mine else Whose.ANOTHERS,
        launch=newest.number,
        host=terms.who,
        requested_at=terms.requested_at,
        over_at=terms.over_at,
        heard_at=own.updated_at if own else None,
        is_heard=own is not None and _is_fresh(own, now),
        asked_by=newest.asked.process if newest.asked else None,
    )


def is_over(
    launch: Launch,
    terms: BillingTerms,
    heard: Status | None,
    result: Result | None,
    now: datetime,
) -> bool:
    """Whether nothing of the newest launch is still at work.

    Args:
        heard: the heartbeat of the launch's own trainer.
    """
    if result is not None and ends(result, launch, terms.requested_at, is_newest=True):
        return True
    if heard is not None and _is_fresh(heard, now) and heard.phase in BUSY:
        gone = max((each.at for each in launch.gones), default=None)
        return gone is not None and heard.updated_at <= gone
    has_said_so = any(gone.evidence == Evidence.RESULT for gone in launch.standing_gones)
    return has_said_so or launch.is_known_gone or now >= terms.over_at


def _heartbeat_of(claim: Claimed | None, status: Status | None) -> Status | None:
    """The heartbeat of the newest claim; one from an instance that was replaced does not count."""
    if status is None or claim is None or status.claim is None or status.claim == claim.number:
        return status
    return None


def _is_fresh(status: Status, now: datetime) -> bool:
    return now - status.updated_at < FRESH_WITHIN


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
