"""Range checks for numbers, and the error sentence for one out of range."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cost.amounts import Amount, exact

if TYPE_CHECKING:
    from fintts_cost.errors import CostError

MAX_COUNT = 1_000_000_000
MAX_SECONDS = 1_000_000_000
MAX_HOURLY_RATE_USD = 1_000_000
MIN_HOURLY_RATE_USD = Decimal("0.0001")
"""of anything not free: a lower rate is a typing error, and would buy centuries"""
MAX_BUDGET_USD = 1_000_000
MAX_BYTES = 10**15


def require_count(
    error: type[CostError], option: str, value: int, most: int = MAX_COUNT, *, least: int = 1
) -> None:
    """Raises the error unless the value is a whole number between least and most."""
    if least <= value <= most:
        return
    bound = f"at least {least:,}" if value < least else f"at most {most:,}"
    raise error(
        f"{option} must be {bound}, but is {value:,}",
        f"give {option} a whole number from {least:,} to {most:,}",
    )


def require_amount(
    error: type[CostError], option: str, value: Amount, most: int, *, above_zero: bool = False
) -> None:
    """Raises the error unless the value is finite, at least or above 0, and at most `most`."""
    number = exact(value)
    least = "above 0" if above_zero else "at least 0"
    hint = f"give {option} a number {least}, up to {most:,}"
    if not number.is_finite():
        raise error(f"{option} must be a finite number, but is {value}", hint)
    if number > most:
        raise error(f"{option} must be at most {most:,}, but is {value}", hint)
    if number < 0 or (above_zero and number == 0):
        raise error(f"{option} must be {least}, but is {value}", hint)


def require_rate(error: type[CostError], option: str, value: Amount) -> None:
    """Raises the error unless an hour is free or has a plausible price."""
    require_amount(error, option, value, MAX_HOURLY_RATE_USD)
    if 0 < exact(value) < MIN_HOURLY_RATE_USD:
        raise error(
            f"{option} must be 0 or at least {MIN_HOURLY_RATE_USD}, but is {value}",
            f"give {option} what an hour of the instance costs, in dollars",
        )
