"""The hourly rates of a run's instances, for each GPU that they may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from fintts_store.runs.records import RunRecord


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
