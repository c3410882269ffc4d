"""A row of a price list, an offer that it holds, and why an offer may be doubtful."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import NamedTuple

from fintts_cost.money import Price


class Doubt(StrEnum):
    """Why an offer is doubtful."""

    NO_DISCOUNT = "no-discount"
    BELOW_OWN_SPOT = "below-own-spot"
    OUTLIER = "outlier"
    SUSPECT = "suspect"
    OLD = "old"
    NO_AUTODOWN = "no-autodown"
    NO_SPOT_JOBS = "no-spot-jobs"
    OTHER_CPU = "other-cpu"
    OTHER_NAME = "other-name"
    NOT_RENTABLE = "not-rentable"


NEVER_CHOSEN = frozenset(
    {
        *(Doubt.NO_DISCOUNT, Doubt.NO_SPOT_JOBS, Doubt.OTHER_CPU, Doubt.OTHER_NAME),
        Doubt.NOT_RENTABLE,
    }
)
"""Offers with these doubts are listed, but never used in an estimate or launch."""


class PriceRow(NamedTuple):
    """One row of a price list. A row without an accelerator is the host of a row with some."""

    cloud: str
    """as in `--infra`"""
    instance_type: str
    accelerator: str
    """the seller's name for it; empty for a host"""
    gpus: float
    """GPUs in the machine"""
    price_usd: Decimal | None
    """on demand, for an hour of the machine; None if there is no valid price"""
    spot_price_usd: Decimal | None
    source: str
    as_of: str
    """the day of the list"""
    region: str | None = None
    """None if the price is the same in every region"""
    zone: str | None = None
    gpu_memory_gb: float | None = None
    """of one GPU, if the list gives it"""
    seller: str | None = None
    """the machine's owner, if the cloud is a broker"""
    doubts: tuple[Doubt, ...] = ()
    """doubts about the row beyond its numbers"""


class Offer(NamedTuple):
    """A machine for rent at a price."""

    cloud: str
    """as in `--infra`"""
    region: str | None
    """None: any"""
    instance_type: str
    accelerator: str
    """as in `gpus.accelerators`, if known there"""
    gpus: int
    """GPUs in the machine; you pay for all of them"""
    spot: bool
    hourly_rate_usd: Decimal
    """of the whole machine"""
    source: str
    as_of: str
    zone: str | None = None
    seller: str | None = None
    doubts: tuple[Doubt, ...] = ()

    @property
    def rate_per_gpu_usd(self) -> Decimal:
        """The rate per GPU, which compares machines of different sizes."""
        return self.hourly_rate_usd / self.gpus

    @property
    def may_be_chosen(self) -> bool:
        """Whether a launch could get the machine at this price."""
        return not NEVER_CHOSEN.intersection(self.doubts)

    @property
    def price(self) -> Price:
        """The price for the run's record."""
        kind = "spot" if self.spot else "on-demand"
        what = f"{self.cloud} {self.instance_type} {kind}"
        return Price(self.hourly_rate_usd, f"{what}, {self.source}", self.as_of, self.cloud)


def amount(listed: str | float | Decimal | None) -> Decimal | None:
    """A price above 0; None for anything else: empty, 0.00, NaN, infinite, negative, a word."""
    try:
        number = Decimal(str(listed).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None
