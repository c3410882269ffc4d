"""The terms on which a launch is billed: its rates, and the latest moment at which billing ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fintts_cost.plan.reserve import Reserve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from fintts_store.runs.ledger import Asked, Launch, Ledger
    from fintts_store.runs.records import Status
    from fintts_store.runs.run_record import RunRecord

RESERVE = timedelta(seconds=float(Reserve.spot().total_seconds))
TEARDOWN = timedelta(seconds=float(Reserve.spot().after_last_word_seconds))
"""for launches whose own terms cannot be read: the longest of all"""
UNKNOWN_HOST = "an unknown laptop"


@dataclass(frozen=True, slots=True)
class Rates:
    """Dollars per hour, by GPU as in `--gpus`; at least one."""

    by_gpus: Mapping[str, Decimal]

    @classmethod
    def of_record(cls, record: RunRecord) -> Rates:
        """The rates frozen in run.json."""
        return cls({each.gpus: each.price.hourly_rate_usd for each in record.rentals})

    def of(self, gpus: str | None) -> Decimal:
        """The rate of that GPU; the highest rate if the GPU is unknown, as an upper bound."""
        known = None if gpus is None else self.by_gpus.get(gpus)
        return max(self.by_gpus.values()) if known is None else known


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
    who: str = UNKNOWN_HOST

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


def terms_of(
    launch: Launch, ledger: Ledger, record: RunRecord, status: Status | None
) -> BillingTerms:
    """The launch's own terms; the widest terms if its own are damaged."""
    if launch.asked is None:
        return BillingTerms.of_damaged(launch, ledger, record, status)
    return BillingTerms.of(launch.asked)
