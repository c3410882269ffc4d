"""The run on one GPU, and the terms on which a run is launched."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.plan.outlook import outlook_of

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_cost.estimate.result import Estimate
    from fintts_cost.money import Price
    from fintts_cost.plan.outlook import Outlook


class Candidate(NamedTuple):
    """The run on one GPU that it may get, with its time and cost there."""

    gpus: str
    """one item of `--gpus`"""
    estimate: Estimate
    cut_at_step: int | None = None
    """the step where the deadline ends the run; None if the run finishes before it"""
    most_hourly_usd: Decimal | None = None
    """the maximum cost of an hour, if the cloud bills the market price"""
    spot: bool = False
    """whether the instance may be taken away"""

    @property
    def price(self) -> Price:
        """The price of an hour of the instance, with its source."""
        return self.estimate.expected.price

    @property
    def hourly_rate_usd(self) -> Decimal:
        """The expected cost of an hour of the instance."""
        return self.price.hourly_rate_usd

    @property
    def cost_usd(self) -> Decimal:
        """The cost of the expected run, not rounded."""
        return self.estimate.cost_usd

    @property
    def outlook(self) -> Outlook:
        """What the run may take and cost, with what preemptions add."""
        return outlook_of(self.estimate, spot=self.spot)

    @property
    def expected_usd(self) -> float:
        """The likely cost with what preemptions add, by which offers are compared."""
        return self.outlook.usd.likely

    @property
    def ceiling_usd(self) -> Decimal:
        """The maximum cost of an hour of the instance, which sets the deadline."""
        return max(self.hourly_rate_usd, self.most_hourly_usd or Decimal(0))

    def at(self, price: Price) -> Candidate:
        """The same run on the same GPU at another price."""
        return self._replace(estimate=self.estimate.at(price))


@dataclass(frozen=True, slots=True)
class Terms:
    """Where a run goes and its limits: the fields of run.json beside the configuration."""

    infra: str
    gpus: str
    """the GPU that is requested first; `price` and `estimate` belong to it"""
    price: Price
    estimate: Estimate | None
    """None if the time of a step is not known"""
    spot: bool
    budget_usd: Decimal | None
    deadline_at: datetime
    alternatives: tuple[Candidate, ...] = ()
    """the GPUs that are requested if the first is not available"""
