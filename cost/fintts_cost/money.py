"""Money: the cost of seconds, what a budget buys, and the format of amounts."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from fintts_cost.amounts import Amount, exact

SECONDS_PER_HOUR = 3600
CENT = Decimal("0.01")
NOTHING = "–"


def cost_usd(seconds: Amount, hourly_rate_usd: Decimal) -> Decimal:
    """Dollars for these seconds, billed by the second and not rounded."""
    return exact(seconds) * hourly_rate_usd / SECONDS_PER_HOUR


def affordable_seconds(budget_usd: Decimal, hourly_rate_usd: Decimal) -> Decimal | None:
    """How long a budget lasts; None if the instance is free."""
    if hourly_rate_usd == 0:
        return None
    return budget_usd * SECONDS_PER_HOUR / hourly_rate_usd


class Price(NamedTuple):
    """The price of an hour with its source and date, frozen into the run's record."""

    hourly_rate_usd: Decimal
    source: str = "option"
    as_of: str | None = None
    """date of the price list"""
    cloud: str | None = None
    """the seller; None if you gave the price"""


def dollars(amount: Decimal | None) -> str:
    """$5.32; $0.0041: an amount below a cent keeps its first two digits."""
    if amount is None:
        return NOTHING
    if 0 < amount < CENT:
        return f"${_two_digits(amount).normalize():f}"
    rounded = amount.quantize(CENT, ROUND_HALF_EVEN) + 0  # -0.00 is 0.00
    return f"${rounded:,}"


def dollars_of(amount: float) -> str:
    """The same for an end of an `Interval`."""
    return dollars(Decimal(str(amount)))


def dollars_rounded_up(amount: Decimal) -> str:
    """The same, to the next cent: what is enough to pay the amount."""
    return dollars(amount.quantize(CENT, ROUND_CEILING))


def _two_digits(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(amount.adjusted() - 1), ROUND_HALF_EVEN)


def hourly(rate: Decimal) -> str:
    """$1.20 an hour; keeps digits below the cent, since rates have them."""
    cents = rate.quantize(CENT)
    return f"${cents if cents == rate else rate:,} an hour"


def cost_so_far_usd(elapsed_seconds: float, hourly_rate_usd: Decimal) -> Decimal:
    """Dollars since billing began; at least 0, even if the clock was set back."""
    return cost_usd(max(elapsed_seconds, 0.0), hourly_rate_usd)


def cost_to_finish_usd(eta_seconds: float | None, hourly_rate_usd: Decimal) -> Decimal | None:
    """Dollars from now to the end; None while the ETA is unknown."""
    return None if eta_seconds is None else cost_usd(eta_seconds, hourly_rate_usd)
