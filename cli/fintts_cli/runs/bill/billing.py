"""Computes what every launch of a run was billed. Pure: from the ledger and other known facts.

Billing starts at the request. If no one saw the end, the latest possible moment counts, so the bill
is never too low and does not rise after that moment. Any later evidence of an end only lowers the
bill. A request later than what was seen of its instance, or than now, is by a clock that is wrong:
then no one knows when billing began, and the longest possible time counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cli.runs.bill.rates import Rates
from fintts_cli.wording import iso
from fintts_cost.money import cost_usd
from fintts_cost.reserve import Reserve
from fintts_store.runs.ledger import SURE, Asked, Earlier, Evidence, Gone, Up

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_store.runs.ledger import Launch, Ledger
    from fintts_store.runs.records import Result, RunRecord, Status

SEEN_WITHIN = timedelta(seconds=120)
"""An end counts as known if the instance was seen alive at most this long before it."""

RESERVE = timedelta(seconds=float(Reserve.spot().total_seconds))
TEARDOWN = timedelta(seconds=float(Reserve.spot().after_last_word_seconds))
"""for launches whose own terms cannot be read: the longest of all"""


@dataclass(frozen=True, slots=True)
class BillingTerms:
    """The terms of a launch's request."""

    requested_at: datetime
    over_at: datetime
    """the moment billing ends, unless the instance is seen later"""
    rates: Rates
    is_spot: bool = False
    teardown: timedelta = timedelta()
    """the longest time that an instance outlives its trainer's last word"""
    who: str = "somebody"

    @property
    def longest(self) -> timedelta:
        """The longest time that the launch bills, unless the instance is seen later."""
        return self.over_at - self.requested_at

    @classmethod
    def of(cls, asked: Asked) -> BillingTerms:
        """The terms that the ledger holds."""
        return cls(
            requested_at=asked.requested_at,
            over_at=asked.over_at,
            rates=Rates(asked.rates_usd),
            is_spot=asked.spot,
            teardown=timedelta(seconds=asked.teardown_seconds),
            who=asked.asker.host,
        )

    @classmethod
    def of_damaged(
        cls, launch: Launch, ledger: Ledger, record: RunRecord, status: Status | None
    ) -> BillingTerms:
        """The widest terms that the other launches allow, for a launch whose own file is damaged.

        Its request came after the previous launch, or after the run was recorded; its rate and its
        time are the highest of any launch; it ended when the next launch was requested.
        """
        others = [each.asked for each in ledger.launches if each.asked is not None]
        before = [each for each in others if each.launch < launch.number]
        began = max((each.requested_at for each in before), default=record.created_at)
        over_at = _latest_deadline(launch, before, record, status, _longest(others, record))
        after = [each.requested_at for each in others if each.launch > launch.number]
        return cls(
            requested_at=began,
            over_at=max([over_at + RESERVE, *after[:1]]),
            rates=_dearest([Rates.of_record(record), *(Rates(each.rates_usd) for each in others)]),
            teardown=TEARDOWN,
        )


def _latest_deadline(
    launch: Launch,
    before: Iterable[Asked],
    record: RunRecord,
    status: Status | None,
    longest: timedelta,
) -> datetime:
    """The latest deadline that a launch with an unknown request time can have: not after it was
    seen or heard, nor long after the previous launch."""
    heard = status if status is not None and status.launch in (None, launch.number) else None
    seen = [up.at for up in launch.ups] + ([heard.updated_at] if heard else [])
    given = [record.deadline_at, *(each.deadline_at for each in before)]
    given += [heard.deadline_at] if heard else []
    asked_at = max([*given, *seen]) if launch.number > 1 else record.created_at
    return max([*given, asked_at + longest])


def _longest(others: Iterable[Asked], record: RunRecord) -> timedelta:
    """The longest time from a request to its deadline."""
    given = [each.deadline_at - each.requested_at for each in others]
    return max([record.deadline_at - record.created_at, *given])


def _dearest(rates: Iterable[Rates]) -> Rates:
    """The highest rate of each GPU."""
    known = [pair for each in rates for pair in each.by_gpus.items()]
    return Rates({gpus: max(usd for name, usd in known if name == gpus) for gpus, _ in known})


@dataclass(frozen=True, slots=True)
class Witness:
    """What is known about one launch outside its own files in the ledger."""

    heard_at: datetime | None = None
    """the trainer's last heartbeat"""
    gpus: str | None = None
    """the GPUs that the trainer reports"""
    ended_at: datetime | None = None
    """when its trainer recorded the end"""
    is_live: bool = False
    """whether its infra reports it live now"""


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


@dataclass(slots=True)
class Period:
    """The time from a request, or a sighting, to the first sighting without the instance."""

    began: datetime
    gone: datetime | None
    alive: datetime | None
    """when it was last seen alive"""
    gpus: set[str]
    evidence: Evidence = Evidence.CLOUD
    """of its end"""
    up_at: datetime | None = None
    hourly_rate_usd: Decimal | None = None
    """the rate that the cloud reports"""
    replaced_at: datetime | None = None
    """when the instance that this one replaces was gone"""


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
            launch, terms, ledger, status, result, is_live=launch.number == live_launch
        )
        spans += spans_of(launch, terms, known, now)
    earlier = [each.asked.earlier for each in ledger.launches if each.asked and each.asked.earlier]
    return Bill(tuple(spans), earlier[0] if earlier else None)


def terms_of(
    launch: Launch, ledger: Ledger, record: RunRecord, status: Status | None
) -> BillingTerms:
    """The launch's own terms; the widest terms if its own are damaged."""
    if launch.asked is None:
        return BillingTerms.of_damaged(launch, ledger, record, status)
    return BillingTerms.of(launch.asked)


def witness_of(
    launch: Launch,
    terms: BillingTerms,
    ledger: Ledger,
    status: Status | None,
    result: Result | None,
    *,
    is_live: bool,
) -> Witness:
    """What heartbeat and result say about this launch only."""
    is_newest = ledger.newest is launch
    heard = (
        status
        if status is not None and is_about(status, launch, terms, is_newest=is_newest)
        else None
    )
    ended = (
        result if result is not None and ends(result, launch, terms, is_newest=is_newest) else None
    )
    return Witness(
        heard_at=heard.updated_at if heard else None,
        gpus=heard.gpus if heard else None,
        ended_at=ended.ended_at if ended else None,
        is_live=is_live,
    )


def is_about(status: Status, launch: Launch, terms: BillingTerms, *, is_newest: bool) -> bool:
    """Whether the heartbeat belongs to this launch. One that names no launch does if it came
    between the launch's request and its end; otherwise it belongs to a later `fintts train`."""
    if status.launch is not None:
        return status.launch == launch.number
    is_later = any(gone.at < status.updated_at for gone in launch.standing_gones)
    return is_newest and status.updated_at >= terms.requested_at and not is_later


def ends(result: Result, launch: Launch, terms: BillingTerms, *, is_newest: bool) -> bool:
    """Whether the result is the end of this launch."""
    if result.launch is not None:
        return result.launch == launch.number
    return is_newest and result.ended_at >= terms.requested_at


def spans_of(
    launch: Launch, terms: BillingTerms, known: Witness, now: datetime
) -> tuple[Billed, ...]:
    """The spans for which the launch was billed: one, or one for each instance of a spot run."""
    periods = _periods(launch, terms, known)
    return tuple(
        billed_period(launch.number, terms, period, known, now, is_last=period is periods[-1])
        for period in periods
    )


def _periods(launch: Launch, terms: BillingTerms, known: Witness) -> list[Period]:
    if not terms.is_spot:
        return [_single(terms.requested_at, launch)]
    periods = _one_after_the_other(terms.requested_at, launch)
    last_gone = periods[-1].gone
    if last_gone is not None and known.heard_at is not None and known.heard_at > last_gone:
        # Another instance; its start was not seen.
        periods.append(Period(last_gone, None, known.heard_at, set(), replaced_at=last_gone))
    return periods


def _single(began: datetime, launch: Launch) -> Period:
    first = min(launch.standing_gones, key=_rank, default=None)
    alive = [gone.alive_at for gone in launch.gones if gone.alive_at is not None]
    came = [up.at for up in launch.ups if first is None or up.at <= first.at]
    gpus = {up.gpus for up in launch.ups if up.gpus}
    period = Period(
        began, None, max([*alive, *came], default=None), gpus, up_at=min(came, default=None)
    )
    if first is not None:
        period.gone, period.evidence = first.at, first.evidence
    return period


def _rank(gone: Gone) -> tuple[datetime, int]:
    return gone.at, list(Evidence).index(gone.evidence)


def _one_after_the_other(began: datetime, launch: Launch) -> list[Period]:
    """One period for each instance: one seen up after another was gone is a new one."""
    periods = [Period(began, None, None, set())]
    seen: list[Up | Gone] = [*launch.ups, *sorted(launch.gones, key=_rank)]
    for one in sorted(seen, key=lambda each: (each.at, isinstance(each, Gone))):
        last = periods[-1]
        if isinstance(one, Gone):
            if last.gone is None:
                last.gone, last.evidence = one.at, one.evidence
                last.hourly_rate_usd = one.hourly_rate_usd
                last.alive = _latest(last.alive, one.alive_at)
        elif last.gone is not None:
            gpus = {one.gpus} if one.gpus else set[str]()
            periods.append(Period(one.at, None, one.at, gpus, up_at=one.at, replaced_at=last.gone))
        else:
            last.up_at = last.up_at or one.at
            last.gpus |= {one.gpus} if one.gpus else set()
            last.alive = _latest(last.alive, one.at)
    return periods


def _latest(*moments: datetime | None) -> datetime | None:
    return max((each for each in moments if each is not None), default=None)


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

    A replacement that was seen at a moment still to come was seen by a fast clock: it counts from
    the moment at which the instance before it was gone.
    """
    if period.replaced_at is not None and period.began > now:
        return min(period.replaced_at, now)
    if period.began != terms.requested_at:  # it began with a sighting
        return period.began
    seen = [period.up_at, period.gone, period.alive]
    if is_last:
        # A failed launch leaves the result of the launch before it, and is seen gone.
        seen += [known.heard_at, known.ended_at if period.gone is None else None]
    return min([now, *(each for each in seen if each is not None)])


def _seen_alive(
    period: Period, known: Witness, now: datetime, *, is_last: bool
) -> tuple[datetime, bool]:
    """The last moment at which the instance is known to exist, and whether that is now."""
    heard = [known.heard_at] if is_last and known.heard_at else []
    seen = _latest(period.alive, *heard) or period.began
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
