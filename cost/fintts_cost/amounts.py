"""Exact amounts: a float counts as its decimal notation."""

from __future__ import annotations

from decimal import Decimal

Amount = int | float | Decimal
"""Seconds or dollars; a float counts as its decimal notation."""


def exact(amount: Amount) -> Decimal:
    """5.4 → Decimal("5.4"), so that 2800 × 5.4 s are exactly 15,120 s; -0.0 is 0."""
    number = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    return abs(number) if number.is_zero() else number
