"""Compares estimate and actual: what a run was expected to take and cost, and what it did. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeGuard

from fintts_inputs.config import CheckpointConfig
from fintts_store.checkpoints.retention import Rule, plan_retention
from fintts_store.runs.limits import SECONDS, STEPS, USD

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pydantic import JsonValue

    from fintts_cli.runs.bill.billing import Billed
    from fintts_cli.runs.status.view import RunView
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.checkpoints.retention import Retention
    from fintts_store.layout import CommitName
    from fintts_store.runs.records import MetricRow, Result, RunRecord

MOST_KEPT = 1_000_000
PHASES = ("setup", "training", "validation", "checkpoint", "teardown")


@dataclass(frozen=True, slots=True)
class PhaseDifference:
    """Seconds of one part of the run; None if unknown."""

    phase: str
    estimated_seconds: float | None
    actual_seconds: float | None

    @property
    def difference_seconds(self) -> float | None:
        """Positive if it took longer than estimated."""
        if self.estimated_seconds is None or self.actual_seconds is None:
            return None
        return self.actual_seconds - self.estimated_seconds

    def to_json(self) -> dict[str, float | None]:
        """The three figures."""
        return {
            "estimated_seconds": self.estimated_seconds,
            "actual_seconds": self.actual_seconds,
            "difference_seconds": self.difference_seconds,
        }


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything that `fintts cloud report` says about a run."""

    view: RunView
    result: Result | None
    phases: tuple[PhaseDifference, ...]
    cost_usd: Decimal
    estimated_cost_usd: Decimal | None
    estimated_stop_step: int | None
    hourly_rate_usd: Decimal
    price_source: str
    budget_usd: Decimal | None
    prompt: str | None
    """the prompt that the model is trained with; None for runs that did not record it"""
    metrics: tuple[MetricRow, ...]
    kept: Retention
    uniform_guess: float | None
    """in nats: the loss of a model that guesses uniformly"""

    @property
    def launches(self) -> tuple[Billed, ...]:
        """Every span of billing of a launch."""
        return tuple(span for span in self.view.bill.spans if span.launch)

    @property
    def difference_usd(self) -> Decimal | None:
        """Actual minus estimated cost."""
        if self.estimated_cost_usd is None:
            return None
        return self.cost_usd - self.estimated_cost_usd

    def to_json(self) -> dict[str, object]:
        """The content of result.json, the costs, and the differences phase by phase."""
        content: dict[str, object] = (
            {} if self.result is None else self.result.model_dump(mode="json")
        )
        return {
            **self.view.to_json(),
            **content,
            "billed_seconds": self.view.billed_seconds,
            "launches": [span.to_json() for span in self.launches],
            "cost_usd": _cents(self.cost_usd),
            "estimated_cost_usd": _cents(self.estimated_cost_usd),
            "difference_usd": _cents(self.difference_usd),
            "hourly_rate_usd": float(self.hourly_rate_usd),
            "price_source": self.price_source,
            "budget_usd": _cents(self.budget_usd),
            "prompt": self.prompt,
            "phases": {phase.phase: phase.to_json() for phase in self.phases},
            "checkpoints": [
                {
                    "step": kept.manifest.step,
                    "bytes": kept.manifest.size_bytes,
                    "value": kept.manifest.value,
                    "reasons": list(kept.reasons),
                }
                for kept in self.kept.keep
            ],
        }


def build_report(
    record: RunRecord,
    view: RunView,
    result: Result | None,
    metrics: Sequence[MetricRow],
    kept: Retention,
    *,
    uniform_guess: float | None = None,
) -> RunReport:
    """Compares the actual run with the estimate for the GPU that it got."""
    got = next((each for each in record.rentals if each.gpus == view.gpus), record.rentals[0])
    return RunReport(
        view=view,
        result=result,
        phases=_differences(got.estimate, _actual_seconds(view, result)),
        cost_usd=view.cost_so_far_usd,
        estimated_cost_usd=_decimal(got.estimate.get("cost_usd")),
        estimated_stop_step=_stop_step(got.estimate),
        hourly_rate_usd=view.hourly_rate_usd,
        price_source=got.price.source,
        budget_usd=record.budget_usd,
        prompt=record.prompt,
        metrics=tuple(metrics),
        kept=kept,
        uniform_guess=uniform_guess,
    )


def kept_of(
    record: RunRecord, manifests: Sequence[Manifest], pinned: Collection[CommitName] = ()
) -> Retention:
    """The committed checkpoints, each with the reasons to keep it."""
    rule = rule_of(record)
    return plan_retention(
        manifests, keep_last=rule.keep_last, keep_best=rule.keep_best, pinned=pinned
    )


def rule_of(record: RunRecord) -> Rule:
    """The run's retention rule."""
    section = record.config.get("checkpoints")
    checkpoints = section if isinstance(section, dict) else {}
    keep_last = checkpoints.get("keep_last")
    return Rule(
        keep_last=keep_last
        if isinstance(keep_last, int) and 1 <= keep_last <= MOST_KEPT
        else CheckpointConfig().keep_last,
        keep_best=checkpoints.get("keep_best") is not False,
    )


def _actual_seconds(view: RunView, result: Result | None) -> dict[str, float]:
    """Seconds by part, as the trainer recorded them; time that the trainer could not see is added
    here.

    Billing starts at the request, before the trainer starts, and ends when the instance is gone,
    after the trainer has ended. After a preemption these moments belong to another instance, so the
    trainer's own figures stay unchanged.
    """
    if result is None:
        return {}
    seconds = dict(result.phase_seconds)
    if result.claims == 1 and seconds:
        before = (result.started_at - view.started_at).total_seconds()
        after = (view.ended_at - result.ended_at).total_seconds() if view.ended_at else 0.0
        seconds["setup"] = seconds.get("setup", 0.0) + max(before, 0.0)
        seconds["teardown"] = seconds.get("teardown", 0.0) + max(after, 0.0)
    return seconds


def _differences(
    estimate: Mapping[str, JsonValue], actual: Mapping[str, float]
) -> tuple[PhaseDifference, ...]:
    estimated = {phase: estimate.get(f"{phase}_seconds") for phase in PHASES}
    return tuple(
        PhaseDifference(
            phase, float(seconds) if _is_within(seconds, SECONDS) else None, actual.get(phase)
        )
        for phase, seconds in estimated.items()
    )


def _stop_step(estimate: Mapping[str, JsonValue]) -> int | None:
    scenarios = estimate.get("scenarios")
    expected = scenarios.get("expected") if isinstance(scenarios, dict) else None
    step = expected.get("stop_step") if isinstance(expected, dict) else None
    return step if isinstance(step, int) and 0 <= step <= STEPS else None


def _decimal(number: JsonValue) -> Decimal | None:
    return Decimal(str(number)) if _is_within(number, USD) else None


def _is_within(number: JsonValue, limit: float) -> TypeGuard[int | float]:
    """Whether a value from a stored estimate is a number up to `limit`; it may be anything."""
    return isinstance(number, int | float) and 0 <= number <= limit


def _cents(amount: Decimal | None) -> float | None:
    return None if amount is None else float(round(amount, 2))
