"""The estimate of a run: its bills for three possible ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.amounts import exact
from fintts_cost.money import cost_usd
from fintts_cost.training.checkpoint_storage import keep_last_loses_best, plan_storage

if TYPE_CHECKING:
    from decimal import Decimal

    from fintts_cost.estimate.bill import Bill
    from fintts_cost.estimate.inputs import EstimateInput
    from fintts_cost.money import Price
    from fintts_cost.training.checkpoint_storage import CheckpointStorage
    from fintts_cost.training.schedule import Schedule


class Saving(NamedTuple):
    """What stopping before max_steps saves."""

    steps: int
    training_seconds: Decimal
    seconds: Decimal
    """including the omitted validation checks and checkpoints"""
    hourly_rate_usd: Decimal

    @property
    def training_usd(self) -> Decimal:
        """The saving in training alone, not rounded."""
        return cost_usd(self.training_seconds, self.hourly_rate_usd)

    @property
    def usd(self) -> Decimal:
        """The whole saving, not rounded."""
        return cost_usd(self.seconds, self.hourly_rate_usd)


class Estimate(NamedTuple):
    """The result of `fintts estimate`: the earliest, expected and worst bills."""

    given: EstimateInput
    earliest: Bill
    expected: Bill
    worst: Bill
    storage: CheckpointStorage

    @property
    def schedule(self) -> Schedule:
        """The run's cadence."""
        return self.given.schedule

    def at(self, price: Price) -> Estimate:
        """The same run at another price."""
        return self._replace(
            given=replace(self.given, price=price),
            earliest=self.earliest._replace(price=price),
            expected=self.expected._replace(price=price),
            worst=self.worst._replace(price=price),
        )

    @property
    def samples_seen(self) -> int:
        """Over all epochs."""
        return self.schedule.samples_seen(self.expected.stop_step)

    @property
    def cost_usd(self) -> Decimal:
        """The cost of the expected run, not rounded."""
        return self.expected.cost_usd

    @property
    def cost_per_unique_sample_usd(self) -> Decimal:
        """Not rounded."""
        return self.cost_usd / self.given.samples

    @property
    def cost_per_sample_seen_usd(self) -> Decimal:
        """Not rounded."""
        return self.cost_usd / self.samples_seen

    @property
    def samples_per_second(self) -> Decimal:
        """The throughput of training in full steps."""
        return self.schedule.samples_per_step / exact(self.given.seconds_per_step)

    @property
    def saving(self) -> Saving:
        """The saving of the expected run compared with one to max_steps."""
        expected, worst = self.expected.durations, self.worst.durations
        return Saving(
            steps=self.worst.stop_step - self.expected.stop_step,
            training_seconds=worst.training_seconds - expected.training_seconds,
            seconds=worst.total_seconds - expected.total_seconds,
            hourly_rate_usd=self.expected.price.hourly_rate_usd,
        )

    @property
    def keep_last_alone_loses_best(self) -> bool:
        """Whether the best would be gone at an early stop if only the last ones were kept."""
        patience = self.given.patience
        return patience is not None and keep_last_loses_best(
            self.schedule, patience=patience, keep_last=self.given.keep_last
        )


def estimate(given: EstimateInput) -> Estimate:
    """The bills of the expected run, the earliest early stop, and a run to max_steps."""
    return Estimate(
        given=given,
        earliest=given.bill(given.earliest_stop_step),
        expected=given.bill(given.stop_step),
        worst=given.bill(given.max_steps),
        storage=plan_storage(
            given.schedule, given.stop_step, given.checkpoint_bytes, given.keep_last
        ),
    )
