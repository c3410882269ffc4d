"""The early-stopping rule on the checks of a run, and what stopping early saved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.runs.status.checks import PLACE_OF, stopping_config
from fintts_cost.money import cost_usd
from fintts_cost.training.early_stopping import EarlyStopping
from fintts_store.runs.records import StopReason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from fintts_cli.runs.status.view import RunView
    from fintts_inputs.config import EarlyStoppingConfig
    from fintts_store.runs.records import MetricRow
    from fintts_store.runs.run_record import RunRecord


class RuledCheck(NamedTuple):
    """A validation check, and how the rule counts it."""

    step: int
    value: float | None
    """None if it was not finite"""
    best_value: float | None
    """so far"""
    without_improvement: int
    """checks in a row"""
    stops: bool


@dataclass(frozen=True, slots=True)
class Stopping:
    """The rule of a run, with its checks."""

    config: EarlyStoppingConfig
    checks: tuple[RuledCheck, ...]

    @property
    def counts(self) -> dict[int, int]:
        """Step of a check → checks in a row without improvement."""
        return {check.step: check.without_improvement for check in self.checks}

    def to_json(self) -> dict[str, object]:
        """The rule in the report's document."""
        return {
            "enabled": self.config.enabled,
            "monitor": self.config.monitor,
            "mode": self.config.mode,
            "patience": self.config.patience,
            "min_delta": self.config.min_delta,
            "checks": [check._asdict() for check in self.checks],
        }


def stopping_of(record: RunRecord, metrics: Sequence[MetricRow]) -> Stopping:
    """Applies the rule to every check that can be read."""
    config = stopping_config(record)
    rule = EarlyStopping(config.mode, config.patience, config.min_delta)
    progress, (kind, name) = rule.start(), PLACE_OF[config.monitor]
    checks: list[RuledCheck] = []
    for row in metrics:
        if row.kind != kind or row.step == 0 or name not in row.values:
            continue
        value = row.values[name]
        progress = rule.check(progress, row.step, value)
        checks.append(
            RuledCheck(
                step=row.step,
                value=value if math.isfinite(value) else None,
                best_value=progress.best_value,
                without_improvement=progress.checks_without_improvement,
                stops=config.enabled and rule.should_stop(progress),
            )
        )
    return Stopping(config, tuple(checks))


class Saved(NamedTuple):
    """What stopping before max_steps saved."""

    steps: int
    seconds: float
    usd: Decimal

    def to_json(self) -> dict[str, object]:
        """The figures."""
        return {"steps": self.steps, "seconds": self.seconds, "usd": float(round(self.usd, 4))}


def saved_by(view: RunView, seconds_per_step: float | None) -> Saved | None:
    """None unless the run stopped early.

    Args:
        seconds_per_step: with its share of checks and saves; None if unknown.
    """
    steps = view.max_steps - view.step
    if view.stop_reason != StopReason.EARLY_STOPPING or steps <= 0 or seconds_per_step is None:
        return None
    seconds = steps * seconds_per_step
    return Saved(steps, seconds, cost_usd(seconds, view.hourly_rate_usd))
