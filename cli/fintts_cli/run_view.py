"""One run as the terminal shows it: what was asked, the heartbeat, its end, its instance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cli.infra import Span
from fintts_cli.rates import Rates
from fintts_cli.run_forecast import LOCAL, TEARDOWN_SECONDS
from fintts_cost.forecast import cost_to_finish_usd
from fintts_store.runs.limits import STEPS
from fintts_store.runs.records import Phase, StopReason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_store.runs.records import Result, RunRecord, Status

FRESH_WITHIN = timedelta(seconds=30)
"""A heartbeat that came so lately means that somebody is at work."""

STALE_AFTER = timedelta(seconds=120)
"""A heartbeat comes every few seconds; after two minutes without one something is wrong."""

AUTODOWN_WITHIN = timedelta(seconds=660)
"""A managed job's instance ends itself within this time of the run, even if nobody looks."""

BAD_ENDINGS = (StopReason.FAILED, StopReason.NAN_LOSS)


@dataclass(frozen=True, slots=True)
class InstanceView:
    """What this machine knows of a run's instance; `is_live` is None where nobody can tell."""

    name: str | None = None
    is_live: bool | None = None
    phase: Phase | None = None
    """what the infra says that it is doing, before the trainer speaks for itself"""
    created_at: datetime | None = None
    ended_at: datetime | None = None
    gpus: str | None = None
    """that it has; None where the infra does not tell"""
    rates: Rates | None = None
    """what an hour costs, by GPU, as this machine asked for it"""
    earlier_seconds: float = 0.0
    """that earlier instances of the run were billed for"""
    earlier_usd: Decimal = Decimal(0)
    """what those cost"""
    spans: tuple[Span, ...] = ()
    """of a run whose instance is replaced when it is taken away: of each, when it was billed"""
    is_recovering: bool = False
    """whether it was taken away, and another one is sought"""
    message: str | None = None
    """why the infra gave it up"""


@dataclass(frozen=True, slots=True)
class RunView:
    """What `ps`, `watch` and `report` say about a run at one moment. Times are aware and UTC."""

    run: str
    phase: Phase
    step: int
    max_steps: int
    loss: float | None
    validation_value: float | None
    best_step: int | None
    best_value: float | None
    stop_reason: StopReason | None
    message: str | None
    started_at: datetime
    updated_at: datetime | None
    ended_at: datetime | None
    deadline_at: datetime
    seconds_per_step: float | None
    eta_seconds: float | None
    hourly_rate_usd: Decimal
    billed_seconds: float
    """by all instances of the run up to now, as far as this machine asked for them"""
    cost_so_far_usd: Decimal
    cost_to_finish_usd: Decimal | None
    infra: str
    gpus: str
    instance: str | None
    instance_is_live: bool | None
    is_silent: bool
    """no instance is known here, and its trainer has not been heard of for long"""

    @property
    def milestone(self) -> tuple[object, ...]:
        """Changes when there is news: another phase of life, a check, the end."""
        at_work = self.phase in (Phase.TRAINING, Phase.VALIDATING, Phase.SAVING)
        phase = Phase.TRAINING if at_work else self.phase
        return phase, self.stop_reason, self.validation_value, self.message

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen: it is done or failed, and its instance is gone."""
        is_over = self.phase in (Phase.DONE, Phase.FAILED) and not self.instance_is_live
        return is_over or self.is_silent

    @property
    def is_lost(self) -> bool:
        """Whether its instance is gone and nobody said how the run ended."""
        return self.phase == Phase.FAILED and self.stop_reason is None

    @property
    def only_bills(self) -> bool:
        """Whether a rented instance is there for nothing: it ends itself, a minute or two later."""
        is_over = self.stop_reason is not None and self.phase == Phase.TEARING_DOWN
        return is_over and bool(self.instance_is_live) and self.infra != LOCAL

    @property
    def ended_well(self) -> bool:
        """Whether there is a result to be content with."""
        return self.stop_reason is not None and self.stop_reason not in BAD_ENDINGS

    def to_json(self) -> dict[str, object]:
        """The document of `fintts cloud ps --json`, one run of it."""
        return {
            "run": self.run,
            "phase": str(self.phase),
            "step": self.step,
            "max_steps": self.max_steps,
            "loss": self.loss,
            "started_at": _iso(self.started_at),
            "deadline_at": _iso(self.deadline_at),
            "cost_so_far_usd": _cents(self.cost_so_far_usd),
            "cost_to_finish_usd": _cents(self.cost_to_finish_usd),
            "infra": self.infra,
            "gpus": self.gpus,
            "instance": self.instance,
            "instance_is_live": self.instance_is_live,
            "best_step": self.best_step,
            "best_value": self.best_value,
            "eta_seconds": self.eta_seconds,
            "updated_at": _iso(self.updated_at),
            "ended_at": _iso(self.ended_at),
            "stop_reason": None if self.stop_reason is None else str(self.stop_reason),
            "message": self.message,
        }


def view_run(
    record: RunRecord,
    status: Status | None,
    result: Result | None,
    instance: InstanceView,
    now: datetime,
) -> RunView:
    """Merges what the store and the infra say about a run."""
    if status is not None and instance.created_at and status.updated_at < instance.created_at:
        status = _of_an_earlier_instance(status)
    phase, message = _phase(status, result, instance, now)
    ended_at = _ended_at(record, status, result, instance)
    started_at = instance.created_at or record.created_at
    eta_seconds = _eta(phase, status)
    rates = instance.rates or Rates.of_record(record)
    rate = rates.of(instance.gpus)
    was_asked_for = status is not None or instance.created_at is not None
    lived = [Span(began=started_at, ended=ended_at, gpus=instance.gpus)] if was_asked_for else []
    if instance.spans:
        lived = billed_spans(instance.spans, status.updated_at if status else None)
    seconds = sum(span.seconds(ended_at or now) for span in lived)
    last = result or status
    return RunView(
        run=record.run,
        phase=phase,
        step=last.step if last else 0,
        max_steps=_max_steps(record, status),
        loss=status.loss if status else None,
        validation_value=status.validation_value if status else None,
        best_step=last.best_step if last else None,
        best_value=last.best_value if last else None,
        stop_reason=result.stop_reason if result else None,
        message=message,
        started_at=started_at,
        updated_at=status.updated_at if status else None,
        ended_at=ended_at,
        deadline_at=status.deadline_at if status else record.deadline_at,
        seconds_per_step=status.seconds_per_step if status else None,
        eta_seconds=eta_seconds,
        hourly_rate_usd=rate,
        billed_seconds=instance.earlier_seconds + seconds,
        cost_so_far_usd=instance.earlier_usd + rates.cost_usd(lived, ended_at or now),
        cost_to_finish_usd=cost_to_finish_usd(eta_seconds, rate),
        infra=record.infra,
        gpus=instance.gpus or " or ".join(each.gpus for each in record.rentals),
        instance=instance.name,
        instance_is_live=instance.is_live,
        is_silent=_is_silent(status, result, instance, now),
    )


def _is_silent(
    status: Status | None, result: Result | None, instance: InstanceView, now: datetime
) -> bool:
    """So ends a `fintts train` that was killed, or interrupted: it says nothing any more."""
    if status is None or result is not None or instance.is_live is not None:
        return False
    limit = FRESH_WITHIN if status.phase == Phase.STOPPING else STALE_AFTER
    return now - status.updated_at > limit


def _of_an_earlier_instance(status: Status) -> Status:
    """The heartbeat of an instance that is gone says where the run stands, not what it does."""
    return status.model_copy(update={"phase": Phase.PROVISIONING, "eta_seconds": None})


def _phase(
    status: Status | None, result: Result | None, instance: InstanceView, now: datetime
) -> tuple[Phase, str | None]:
    """The phase, and what there is to say about it."""
    if result is not None:
        if instance.is_live:
            return Phase.TEARING_DOWN, result.message
        return (Phase.FAILED if result.stop_reason in BAD_ENDINGS else Phase.DONE), result.message
    if instance.is_live is False:
        return Phase.FAILED, _lost(status, instance.message)
    if instance.is_recovering:
        return Phase.PROVISIONING, _taken_away(status)
    if status is None:
        return instance.phase or Phase.PENDING, None
    if status.phase == Phase.PROVISIONING:
        return instance.phase or Phase.PROVISIONING, None
    silence = now - status.updated_at
    if silence > STALE_AFTER:
        return status.phase, f"no heartbeat for {silence.total_seconds() / 60:.0f} minutes"
    return status.phase, status.message


def _lost(status: Status | None, why: str | None) -> str:
    if status is None and why is not None:
        return f"there was no instance for it: {why}"
    if status is None:
        return "the instance is gone, and the trainer never wrote a heartbeat: see the logs"
    committed = status.last_committed_step
    saved = "no checkpoint" if committed is None else f"the checkpoint of step {committed}"
    reason = f" ({status.message or why})" if status.message or why else ""
    return f"the instance ended at step {status.step} without a result{reason}; {saved} was saved"


def _taken_away(status: Status | None) -> str:
    committed = None if status is None else status.last_committed_step
    where = "begins anew" if committed is None else f"goes on from step {committed}"
    return f"the instance was taken away; the run {where} when another one is found"


def billed_spans(spans: Iterable[Span], last_heard: datetime | None) -> list[Span]:
    """When instances that came one after the other were billed.

    One that ended itself, or was taken away, was gone long before a laptop that slept heard of it;
    the trainer's last heartbeat says when at the latest.
    """
    return [_known_end(span, last_heard) for span in spans]


def _known_end(span: Span, last_heard: datetime | None) -> Span:
    if last_heard is None or span.ended is None or span.began > last_heard:
        return span
    return span.model_copy(update={"ended": min(span.ended, last_heard + AUTODOWN_WITHIN)})


def _ended_at(
    record: RunRecord, status: Status | None, result: Result | None, instance: InstanceView
) -> datetime | None:
    """When billing ended; None while it goes on.

    A rented instance that ended itself with nobody watching was billed for its teardown as well.
    """
    if instance.is_live:
        return None
    if instance.ended_at is not None:
        return instance.ended_at
    if result is not None:
        unseen = timedelta(seconds=TEARDOWN_SECONDS[False])
        return result.ended_at + (unseen if record.infra != LOCAL else timedelta())
    # A trainer without an instance of ours (`fintts train`) bills until its last heartbeat.
    is_over = status is not None and status.phase in (Phase.FAILED, Phase.STOPPING)
    if status is not None and (instance.is_live is False or is_over):
        return status.updated_at
    return instance.created_at if instance.is_live is False else None


def _eta(phase: Phase, status: Status | None) -> float | None:
    if phase in (Phase.DONE, Phase.FAILED, Phase.TEARING_DOWN):
        return 0.0
    return status.eta_seconds if status else None


def _max_steps(record: RunRecord, status: Status | None) -> int:
    if status is not None:
        return status.max_steps
    training = record.config.get("training")
    steps = training.get("max_steps") if isinstance(training, dict) else None
    return steps if isinstance(steps, int) and 0 <= steps <= STEPS else 0


def _cents(amount: Decimal | None) -> float | None:
    return None if amount is None else float(round(amount, 2))


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat().replace("+00:00", "Z")
