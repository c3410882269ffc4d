"""What a launch has cost, by its own line in the ledger: for notifications, not for decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from fintts_cost.money import cost_usd, dollars, hourly
from fintts_store.errors import StoreError
from fintts_store.runs.ledger import read_ledger

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from fintts_store.store import Store


@dataclass(frozen=True, slots=True)
class LaunchCost:
    """The terms of this launch. A GPU that is not among those asked for counts as the dearest."""

    hourly_rate_usd: Decimal
    requested_at: datetime
    teardown: timedelta
    """the longest that the instance outlives its trainer"""

    def so_far(self, now: datetime) -> str:
        """`$1.20 so far`"""
        return f"{dollars(self._usd(now))} so far"

    def if_it_ends(self, at: datetime) -> str:
        """`at most $4.10, at $1.20 an hour`, teardown included."""
        most = dollars(self._usd(at + self.teardown))
        return f"at most {most}, at {hourly(self.hourly_rate_usd)}"

    def _usd(self, moment: datetime) -> Decimal:
        seconds = max((moment - self.requested_at).total_seconds(), 0.0)
        return cost_usd(seconds, self.hourly_rate_usd)


def launch_cost(store: Store, run: str, launch: int | None, gpus: str | None) -> LaunchCost | None:
    """The terms of this launch; None if it has none, cannot be read, or is free."""
    try:
        launches = read_ledger(store, run).launches if launch is not None else ()
    except StoreError:
        return None
    asked = next((each.asked for each in launches if each.number == launch), None)
    if asked is None:
        return None
    rate = asked.rates_usd.get(gpus or "", max(asked.rates_usd.values()))
    if rate == 0:
        return None
    return LaunchCost(rate, asked.requested_at, timedelta(seconds=asked.teardown_seconds))
