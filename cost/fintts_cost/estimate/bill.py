"""The bill of a run up to one step: seconds by part, and dollars.

Plain values are named tuples: a frozen dataclass takes eight times as long to define, and
`fintts estimate` must start fast.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.money import CENT, cost_usd

if TYPE_CHECKING:
    from fintts_cost.money import Price


class Durations(NamedTuple):
    """Seconds by part of the run. All of them are billed."""

    setup_seconds: Decimal
    training_seconds: Decimal
    validation_seconds: Decimal
    checkpoint_seconds: Decimal
    teardown_seconds: Decimal
    samples_seconds: Decimal = Decimal(0)
    """what is spoken at the start and after checks, at most"""
    encoding_seconds: Decimal = Decimal(0)
    """of recordings, before the training"""

    @property
    def total_seconds(self) -> Decimal:
        """From the first billed second to the last."""
        return sum(self, Decimal(0))


class Bill(NamedTuple):
    """A run up to one step, and its cost."""

    stop_step: int
    durations: Durations
    price: Price

    @property
    def total_seconds(self) -> Decimal:
        """From the first billed second to the last."""
        return self.durations.total_seconds

    @property
    def cost_usd(self) -> Decimal:
        """Not rounded."""
        return cost_usd(self.total_seconds, self.price.hourly_rate_usd)

    @property
    def cost_usd_to_cent(self) -> Decimal:
        """Rounded to the cent, for display."""
        return self.cost_usd.quantize(CENT, ROUND_HALF_EVEN)
