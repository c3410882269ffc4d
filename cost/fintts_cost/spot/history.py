"""The average spot price between two moments, from a price history."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.amounts import exact

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class PriceChange(NamedTuple):
    """The price of an hour from one moment on."""

    at: datetime
    hourly_usd: Decimal
    zone: str = ""
    """each zone has its own prices"""


def mean_rate(changes: Iterable[PriceChange], began: datetime, ended: datetime) -> Decimal | None:
    """The average price of an hour between two moments, in the most expensive zone.

    None if no zone's history reaches back to the first moment: the price is then unknown.
    """
    zones: dict[str, list[PriceChange]] = {}
    for change in changes:
        zones.setdefault(change.zone, []).append(change)
    rates = [_mean(sorted(each), began, ended) for each in zones.values()]
    if not rates or any(rate is None for rate in rates):
        return None
    return max(rate for rate in rates if rate is not None)


def _mean(changes: list[PriceChange], began: datetime, ended: datetime) -> Decimal | None:
    if ended <= began or changes[0].at > began:
        return None
    until = [*(change.at for change in changes[1:]), ended]
    paid = Decimal(0)
    for change, end in zip(changes, until, strict=True):
        seconds = (min(end, ended) - max(change.at, began)).total_seconds()
        paid += exact(max(seconds, 0.0)) * change.hourly_usd
    return paid / exact((ended - began).total_seconds())
