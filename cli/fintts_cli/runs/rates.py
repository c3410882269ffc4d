"""What an hour of a run's instances costs, whichever of its GPUs they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from fintts_store.runs.records import RunRecord


@dataclass(frozen=True, slots=True)
class Rates:
    """Dollars an hour, by GPU as `--gpus` has it; at least one."""

    by_gpus: Mapping[str, Decimal]

    @classmethod
    def of_record(cls, record: RunRecord) -> Rates:
        """What run.json froze."""
        return cls({each.gpus: each.price.hourly_rate_usd for each in record.rentals})

    def of(self, gpus: str | None) -> Decimal:
        """Of that GPU; where nobody knows which it is, the dearest: it costs that at most."""
        known = None if gpus is None else self.by_gpus.get(gpus)
        return max(self.by_gpus.values()) if known is None else known
