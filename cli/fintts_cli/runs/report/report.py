"""Compares estimate and actual: what a run was expected to take and cost, and what it did. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.runs.report import stored
from fintts_cli.runs.report.heads import HeadLosses, head_losses
from fintts_cli.runs.report.phases import PhaseDifference, differences, seconds_per_step
from fintts_cli.runs.report.replan import Replanned, replanned
from fintts_cli.runs.report.step import StepShares, step_shares
from fintts_cli.runs.report.stopping import Saved, Stopping, saved_by, stopping_of
from fintts_cli.runs.report.timeline import Event, OnInstance, events_of, instances_of_run
from fintts_store.runs.limits import SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from fintts_cli.runs.bill.billing import Billed
    from fintts_cli.runs.status.view import RunView
    from fintts_cost.interval import Interval
    from fintts_store.checkpoints.retention import Retention
    from fintts_store.runs.records import MetricRow, Result
    from fintts_store.runs.run_record import RunRecord

NO_GUESSES: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything that `fintts cloud report` says about a run."""

    view: RunView
    now: datetime
    result: Result | None
    phases: tuple[PhaseDifference, ...]
    cost_usd: Decimal
    estimated_cost_usd: Decimal | None
    estimated_cost_range: Interval | None
    """dollars; None in estimates without a range"""
    estimated_seconds_range: Interval | None
    replan: Replanned | None
    estimated_stop_step: int | None
    hourly_rate_usd: Decimal
    price_source: str
    price_as_of: str | None
    budget_usd: Decimal | None
    prompt: str | None
    """the prompt that the model is trained with; None for runs that did not record it"""
    metrics: tuple[MetricRow, ...]
    kept: Retention
    step: StepShares | None
    stopping: Stopping
    saved: Saved | None
    heads: tuple[HeadLosses, ...]
    instances: tuple[OnInstance, ...]
    events: tuple[Event, ...]
    uniform_guess: float | None
    """in nats: the loss of a model that guesses uniformly"""
    warnings: tuple[str, ...] = ()
    """what is wrong with the run's records"""

    @property
    def record(self) -> RunRecord:
        """What was requested."""
        return self.view.record

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

    @property
    def estimated_seconds(self) -> float | None:
        """The sum of the phases that the estimate has."""
        known = [p.estimated_seconds for p in self.phases if p.estimated_seconds is not None]
        return sum(known) if known else None

    @property
    def difference_seconds(self) -> float | None:
        """Billed minus estimated time; None while the run is at work."""
        if self.estimated_seconds is None or not self.view.has_ended:
            return None
        return self.view.billed_seconds - self.estimated_seconds

    @property
    def samples_seen(self) -> int | None:
        """None before the run has ended."""
        return None if self.result is None else self.result.samples_seen

    @property
    def cost_per_unique_sample_usd(self) -> Decimal | None:
        """The cost of each utterance of the data."""
        utterances = self.record.size.utterances
        return self.cost_usd / utterances if utterances else None

    @property
    def cost_per_sample_seen_usd(self) -> Decimal | None:
        """The cost of each time that an utterance was trained on."""
        return self.cost_usd / self.samples_seen if self.samples_seen else None

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
            **self._money_to_json(),
            "prompt": self.prompt,
            "phases": {phase.phase: phase.to_json() for phase in self.phases},
            "replan": self.replan and self.replan.to_json(),
            "early_stopping": self.stopping.to_json(),
            "saved_by_early_stopping": self.saved and self.saved.to_json(),
            "heads": [head._asdict() for head in self.heads],
            "step_shares": self.step and self.step.to_json(),
            "timeline": [event.to_json() for event in self.events],
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

    def _money_to_json(self) -> dict[str, object]:
        cost_range, seconds_range = self.estimated_cost_range, self.estimated_seconds_range
        return {
            "cost_usd": _cents(self.cost_usd),
            "estimated_cost_usd": _cents(self.estimated_cost_usd),
            "estimated_cost_range_usd": cost_range and cost_range.to_json(),
            "estimated_seconds_range": seconds_range and seconds_range.to_json(),
            "difference_usd": _cents(self.difference_usd),
            "hourly_rate_usd": float(self.hourly_rate_usd),
            "price_source": self.price_source,
            "price_as_of": self.price_as_of,
            "budget_usd": _cents(self.budget_usd),
            "cost_per_unique_sample_usd": _number(self.cost_per_unique_sample_usd),
            "cost_per_sample_seen_usd": _number(self.cost_per_sample_seen_usd),
        }


def build_report(
    view: RunView,
    result: Result | None,
    metrics: Sequence[MetricRow],
    kept: Retention,
    now: datetime,
    *,
    uniform_guesses: Mapping[str, float] = NO_GUESSES,
    warnings: Sequence[str] = (),
) -> RunReport:
    """Compares the actual run with the estimate for the GPU that it got.

    Args:
        uniform_guesses: head → loss of a uniform guess.
        warnings: what is wrong with the records.
    """
    record = view.record
    got = stored.rental_of(record, view.gpus)
    rate = got.price.hourly_rate_usd
    phases = differences(got.estimate, rate, view, result, metrics)
    stopping = stopping_of(record, metrics)
    return RunReport(
        view=view,
        now=now,
        result=result,
        phases=phases,
        cost_usd=view.cost_so_far_usd,
        estimated_cost_usd=stored.estimated_usd(got),
        estimated_cost_range=stored.span(got.estimate, "expected", "cost_usd"),
        estimated_seconds_range=stored.span(
            got.estimate, "expected", "billed_seconds", most=SECONDS
        ),
        replan=replanned(view),
        estimated_stop_step=stored.count(got.estimate, "scenarios", "expected", "stop_step"),
        hourly_rate_usd=view.hourly_rate_usd,
        price_source=got.price.source,
        price_as_of=got.price.as_of,
        budget_usd=record.budget_usd,
        prompt=record.prompt,
        metrics=tuple(metrics),
        kept=kept,
        step=step_shares(metrics),
        stopping=stopping,
        saved=saved_by(view, seconds_per_step(phases, view.step)),
        heads=head_losses(metrics, uniform_guesses, view.best_step),
        instances=instances_of_run(view, metrics, now),
        events=events_of(view, result, metrics, stopping.counts),
        uniform_guess=sum(uniform_guesses.values()) if uniform_guesses else None,
        warnings=tuple(warnings),
    )


def _cents(amount: Decimal | None) -> float | None:
    return None if amount is None else float(round(amount, 2))


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
