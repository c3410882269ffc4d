"""What an hour of a run's instances costs, whichever of its GPUs they have, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cost.forecast import cost_so_far_usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from fintts_cli.infra import Span
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

    def cost_usd(self, spans: Iterable[Span], now: datetime) -> Decimal:
        """Of instances that came one after the other, up to now."""
        costs = (cost_so_far_usd(span.seconds(now), self.of(span.gpus)) for span in spans)
        return sum(costs, Decimal(0))
