"""Computes what every launch of a run was billed. Pure: from the ledger and other known facts.

Billing starts at the request. If no one saw the end, the latest possible moment counts, so the bill
is never too low and does not rise after that moment. Any later evidence of an end only lowers the
bill. If a request seems to come after its instance was seen, or lies in the future, a clock is
wrong: the start of billing is then unknown, and the longest possible time counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cli.runs.bill.periods import latest, periods_of
from fintts_cli.runs.bill.terms import RESERVE, terms_of
from fintts_cli.runs.bill.witness import witness_of
from fintts_cli.wording import iso
from fintts_cost.money import cost_usd
from fintts_store.runs.ledger import SURE, Earlier, Evidence

if TYPE_CHECKING:
    from fintts_cli.runs.bill.periods import Period
    from fintts_cli.runs.bill.terms import BillingTerms, Rates
    from fintts_cli.runs.bill.witness import Witness
    from fintts_store.runs.ledger import Launch, Ledger
    from fintts_store.runs.records import Result, Status
    from fintts_store.runs.run_record import RunRecord

SEEN_WITHIN = timedelta(seconds=120)
"""An end counts as known if the instance was seen alive at most this long before it."""


@dataclass(frozen=True, slots=True)
class Billed:
    """One span of billing, up to now."""

    launch: int
    who: str
    began: datetime
    ended: datetime | None
    """None while billing continues"""
    seconds: float
    gpus: str | None
    hourly_rate_usd: Decimal
    evidence: Evidence | None
    """the evidence for its end"""
    is_at_most: bool
    up_at: datetime | None = None
    """when it was first seen up"""
    ends_at: datetime | None = None
    """the end according to the cloud or the trainer, also if it lies ahead"""

    @property
    def usd_in_the_end(self) -> Decimal:
        """The final cost: includes a teardown in progress and the time that a slow clock does not
        show yet."""
        if self.ends_at is None:
            return self.usd
        return cost_usd((self.ends_at - self.began).total_seconds(), self.hourly_rate_usd)

    @property
    def usd(self) -> Decimal:
        """The cost of the span."""
        return cost_usd(self.seconds, self.hourly_rate_usd)

    def to_json(self) -> dict[str, object]:
        """One entry of `launches` in `fintts cloud report --json`."""
        return {
            "launch": self.launch,
            "who": self.who,
            "gpus": self.gpus,
            "hourly_rate_usd": float(self.hourly_rate_usd),
            "asked_at": iso(self.began),
            "up_at": iso(self.up_at),
            "gone_at": iso(self.ended),
            "evidence": None if self.evidence is None else str(self.evidence),
            "billed_seconds": self.seconds,
            "cost_usd": float(round(self.usd, 2)),
            "is_at_most": self.is_at_most,
        }


@dataclass(frozen=True, slots=True)
class Bill:
    """Everything a run was billed up to now."""

    spans: tuple[Billed, ...] = ()
    earlier: Earlier | None = None
    """the cost of instances from before the ledger existed"""

    @property
    def seconds(self) -> float:
        """The sum over all launches."""
        before = self.earlier.seconds if self.earlier else 0.0
        return before + sum(span.seconds for span in self.spans)

    @property
    def usd(self) -> Decimal:
        """The sum over all launches."""
        before = self.earlier.usd if self.earlier else Decimal(0)
        return before + sum((span.usd for span in self.spans), Decimal(0))

    @property
    def is_at_most(self) -> bool:
        """Whether the end of a span that counts was not seen."""
        before = self.earlier is not None and self.earlier.is_at_most
        return before or any(span.is_at_most for span in self.spans)

    def of_launch(self, launch: int) -> tuple[Billed, ...]:
        """The spans of one launch."""
        return tuple(span for span in self.spans if span.launch == launch)


def bill_of(
    ledger: Ledger,
    record: RunRecord,
    status: Status | None,
    result: Result | None,
    live_launch: int | None,
    now: datetime,
) -> Bill:
    """The bill of a run with a ledger.

    Args:
        live_launch: the launch whose instance this machine's infra sees now.
    """
    spans: list[Billed] = []
    for launch in ledger.launches:
        terms = terms_of(launch, ledger, record, status)
        known = witness_of(
            launch, terms.requested_at, ledger, status, result, is_live=launch.number == live_launch
        )
        spans += spans_of(launch, terms, known, now)
    earlier = [each.asked.earlier for each in ledger.launches if each.asked and each.asked.earlier]
    return Bill(tuple(spans), earlier[0] if earlier else None)


def spans_of(
    launch: Launch, terms: BillingTerms, known: Witness, now: datetime
) -> tuple[Billed, ...]:
    """The spans for which the launch was billed: one, or one for each instance of a spot run."""
    periods = periods_of(launch, terms.requested_at, is_spot=terms.is_spot, heard_at=known.heard_at)
    return tuple(
        billed_period(launch.number, terms, period, known, now, is_last=period is periods[-1])
        for period in periods
    )


def billed_period(
    number: int,
    terms: BillingTerms,
    period: Period,
    known: Witness,
    now: datetime,
    *,
    is_last: bool,
) -> Billed:
    first = _first_seen(terms, period, known, now, is_last=is_last)
    began_earlier = first < period.began
    period = replace(period, began=min(first, period.began))
    alive, is_live = _seen_alive(period, known, now, is_last=is_last)
    end, evidence = (None, None) if is_live else _end(terms, period, known, alive)
    until = min(now, max(end, alive)) if end is not None else now
    goes_on = end is None or max(end, alive) > now
    if began_earlier and period.replaced_at is None:
        period.began = min(period.began, until - terms.longest)
    gpus = _gpus(period, known, terms.rates)
    most = terms.rates.of(gpus)
    rate = most if period.hourly_rate_usd is None else min(period.hourly_rate_usd, most)
    return Billed(
        launch=number,
        who=terms.who,
        began=period.began,
        ended=None if goes_on else until,
        seconds=max((until - period.began).total_seconds(), 0.0),
        gpus=gpus,
        hourly_rate_usd=rate,
        evidence=None if goes_on else evidence,
        up_at=period.up_at,
        ends_at=max(end, alive) if end is not None and evidence in SURE else None,
        is_at_most=began_earlier
        or (not is_live and _is_at_most(evidence, until, alive, goes_on=goes_on)),
    )


def _first_seen(
    terms: BillingTerms, period: Period, known: Witness, now: datetime, *, is_last: bool
) -> datetime:
    """The latest moment at which the period can have begun.

    If a replacement was seen in the future, the clock that saw it is fast: it counts from the end
    of the instance before it.
    """
    if period.replaced_at is not None and period.began > now:
        return min(period.replaced_at, now)
    if period.began != terms.requested_at:  # it began with a sighting
        return period.began
    # A heartbeat may be of a replacement, which came later still.
    seen = [period.up_at, period.gone, period.alive, known.heard_at]
    if is_last and period.gone is None:
        # A failed launch leaves the result of the launch before it, and is seen gone.
        seen.append(known.ended_at)
    return min([now, *(each for each in seen if each is not None)])


def _seen_alive(
    period: Period, known: Witness, now: datetime, *, is_last: bool
) -> tuple[datetime, bool]:
    """The last moment at which the instance is known to exist, and whether that is now."""
    heard = [known.heard_at] if is_last and known.heard_at else []
    seen = latest(period.alive, *heard) or period.began
    alive = min(seen, now)  # a timestamp in the future is not evidence
    return max(alive, period.began), known.is_live and is_last


def _end(
    terms: BillingTerms, period: Period, known: Witness, alive: datetime
) -> tuple[datetime, Evidence]:
    """The earliest moment at which the instance was certainly gone."""
    over_at = terms.over_at
    # A replacement, which may have come after the deadline.
    if period.began != terms.requested_at or period.began >= over_at:
        over_at = max(over_at, period.began + RESERVE)
    ends = [(over_at, Evidence.DEADLINE)]
    if period.gone is not None:
        ends.append((period.gone, period.evidence))
    if known.ended_at is not None and known.ended_at >= period.began:
        ends.append((max(known.ended_at, alive) + terms.teardown, Evidence.RESULT))
    order = list(Evidence)
    return min(ends, key=lambda each: (each[0], order.index(each[1])))


def _is_at_most(
    evidence: Evidence | None, until: datetime, alive: datetime, *, goes_on: bool
) -> bool:
    if not goes_on and evidence == Evidence.RESULT:
        return False
    return until - alive > SEEN_WITHIN


def _gpus(period: Period, known: Witness, rates: Rates) -> str | None:
    """The GPUs of the period: the most expensive if several were seen; None if unknown."""
    heard = known.heard_at is not None and known.heard_at >= period.began
    seen = period.gpus or ({known.gpus} if known.gpus and heard else set())
    return max(sorted(seen), key=rates.of, default=None)
