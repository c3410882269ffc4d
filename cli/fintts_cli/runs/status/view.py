"""One run as the terminal shows it: request, heartbeat, end and instance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fintts_cli.places import LOCAL
from fintts_cli.runs.bill.billing import Bill, bill_of
from fintts_cli.runs.bill.terms import Rates, terms_of
from fintts_cli.runs.bill.without_ledger import bill_without_ledger
from fintts_cli.runs.bill.witness import ends, is_about
from fintts_cli.runs.deadline import deadline_of_run
from fintts_cli.runs.instances.at_work import FRESH_WITHIN, NOBODY, AtWork
from fintts_cli.runs.instances.sightings import news_of, with_sightings
from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.status.stop_forecast import PricedForecast
from fintts_cli.runs.status.stop_reason import how_it_stopped, patience_of
from fintts_cli.wording import iso
from fintts_cost.money import cost_to_finish_usd
from fintts_store.runs.laptop import UNKNOWN_LAPTOP, Laptop
from fintts_store.runs.ledger import Gone, Ledger, Up
from fintts_store.runs.limits import STEPS
from fintts_store.runs.records import Phase, StopReason

if TYPE_CHECKING:
    from decimal import Decimal

    from fintts_store.errors import StoreError
    from fintts_store.runs.records import Result, RunRecord, Status

STALE_AFTER = timedelta(seconds=120)
"""Heartbeats come every few seconds; after two minutes without one, something is wrong."""

NO_LEDGER = Ledger()

AT_WORK = (Phase.TRAINING, Phase.VALIDATING, Phase.SAVING)
BAD_ENDINGS = (StopReason.FAILED, StopReason.NAN_LOSS)


@dataclass(frozen=True, slots=True)
class RunView:
    """What `ps`, `watch` and `report` say about a run at one moment. Times are aware and UTC."""

    run: str
    record: RunRecord
    heartbeat: Status | None
    """of the newest launch, or of an earlier one that says where the run stands"""
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
    bill: Bill
    """for all launches of the run, from any laptop, up to now"""
    cost_to_finish_usd: Decimal | None
    infra: str
    gpus: str
    instance: str | None
    instance_is_live: bool | None
    is_silent: bool
    """this machine knows no instance, and the trainer has been silent for long"""
    ledger: Ledger
    at_work: AtWork
    """whose instance is at work"""
    me: Laptop
    has_instance_here: bool
    """whether this machine's infra has, or had, an instance of the run"""
    is_known_here: bool
    """False if this machine has no record of requesting the newest launch"""
    patience: int | None = None
    """checks without improvement after which early stopping ends the run"""
    stop_forecast: PricedForecast | None = None
    """when the run will end, while it trains"""
    news: tuple[Up | Gone, ...] = ()
    """what this machine's infra reports and the store's ledger does not have yet"""
    damaged: tuple[StoreError, ...] = ()
    """why heartbeat or result cannot be read; their content counts as unknown"""

    @property
    def billed_seconds(self) -> float:
        """Seconds billed by all instances of the run up to now."""
        return self.bill.seconds

    @property
    def cost_so_far_usd(self) -> Decimal:
        """The cost of all instances up to now."""
        return self.bill.usd

    @property
    def cost_is_at_most(self) -> bool:
        """Whether the end of an instance was not seen, so that the latest possible one counts."""
        return self.bill.is_at_most

    @property
    def milestone(self) -> tuple[object, ...]:
        """A value that changes with each event: a new phase, a check, the end."""
        phase = Phase.TRAINING if self.phase in AT_WORK else self.phase
        return phase, self.stop_reason, self.validation_value, self.message

    @property
    def has_ended(self) -> bool:
        """Whether the run is over: done or failed, and its instance is gone."""
        is_over = self.phase in (Phase.DONE, Phase.FAILED) and not self.instance_is_live
        return is_over or self.is_silent

    @property
    def is_lost(self) -> bool:
        """Whether its instance is gone without a recorded end."""
        return self.phase == Phase.FAILED and self.stop_reason is None

    @property
    def only_bills(self) -> bool:
        """Whether a rented instance has nothing left to do; it ends itself within a minute or
        two."""
        is_over = self.stop_reason is not None and self.phase == Phase.TEARING_DOWN
        return is_over and bool(self.instance_is_live) and self.infra != LOCAL

    @property
    def ended_well(self) -> bool:
        """Whether the run has a successful result."""
        return self.stop_reason is not None and self.stop_reason not in BAD_ENDINGS

    @property
    def ending(self) -> str:
        """How the run stopped, in words; its phase if there is no result."""
        if self.stop_reason is None:
            return f"{self.phase} at step {self.step} of {self.max_steps}"
        return how_it_stopped(
            self.stop_reason, self.step, patience=self.patience, max_steps=self.max_steps
        )

    def to_json(self) -> dict[str, object]:
        """One run in the document of `fintts cloud ps --json`."""
        return {
            "run": self.run,
            "phase": str(self.phase),
            "step": self.step,
            "max_steps": self.max_steps,
            "loss": self.loss,
            "started_at": iso(self.started_at),
            "deadline_at": iso(self.deadline_at),
            "cost_so_far_usd": _cents(self.cost_so_far_usd),
            "cost_is_at_most": self.cost_is_at_most,
            "cost_to_finish_usd": _cents(self.cost_to_finish_usd),
            "infra": self.infra,
            "gpus": self.gpus,
            "instance": self.instance,
            "instance_is_live": self.instance_is_live,
            "best_step": self.best_step,
            "best_value": self.best_value,
            "eta_seconds": self.eta_seconds,
            "stop_forecast": self.stop_forecast and self.stop_forecast.to_json(),
            "updated_at": iso(self.updated_at),
            "ended_at": iso(self.ended_at),
            "stop_reason": None if self.stop_reason is None else str(self.stop_reason),
            "message": self.message,
        }


def view_run(
    record: RunRecord,
    status: Status | None,
    result: Result | None,
    instance: InstanceView,
    now: datetime,
    ledger: Ledger = NO_LEDGER,
    at_work: AtWork = NOBODY,
    damaged: tuple[StoreError, ...] = (),
) -> RunView:
    """Merges what the store and the infra say about a run."""
    news = news_of(ledger, instance.seen)
    launch, is_elsewhere = instance.launch, instance.journal_is_silent
    is_here = instance.is_live is not None
    ledger = with_sightings(ledger, news)
    bill = _bill(record, status, result, instance, now, ledger, was_heard=bool(status or damaged))
    status, result, instance = _of_the_newest(
        record, status, result, instance, now, ledger, at_work
    )
    phase, message = _phase(status, result, instance, now)
    eta_seconds = _eta(phase, status)
    rate = _rate(record, instance, bill)
    last = result or status
    return RunView(
        run=record.run,
        record=record,
        heartbeat=status,
        phase=phase,
        step=last.step if last else 0,
        max_steps=_max_steps(record, status),
        loss=status.loss if status else None,
        validation_value=status.validation_value if status else None,
        best_step=last.best_step if last else None,
        best_value=last.best_value if last else None,
        stop_reason=result.stop_reason if result else None,
        message=message or _launched_elsewhere(at_work),
        started_at=instance.created_at or record.created_at,
        updated_at=status.updated_at if status else None,
        ended_at=bill.spans[-1].ended if bill.spans else None,
        deadline_at=deadline_of_run(record, status, ledger),
        seconds_per_step=status.seconds_per_step if status else None,
        eta_seconds=eta_seconds,
        hourly_rate_usd=rate,
        bill=bill,
        cost_to_finish_usd=cost_to_finish_usd(eta_seconds, rate),
        infra=record.infra,
        gpus=_gpus(record, instance, bill),
        instance=instance.name,
        instance_is_live=instance.is_live,
        is_silent=not at_work.is_anothers and _is_silent(status, result, instance, now),
        ledger=ledger,
        at_work=at_work,
        me=instance.me or UNKNOWN_LAPTOP,
        has_instance_here=is_here,
        is_known_here=is_elsewhere or (ledger.newest and ledger.newest.number) == launch,
        patience=patience_of(record.config),
        stop_forecast=_stop_forecast(phase, status, rate),
        news=news,
        damaged=damaged,
    )


def _bill(
    record: RunRecord,
    status: Status | None,
    result: Result | None,
    instance: InstanceView,
    now: datetime,
    ledger: Ledger,
    *,
    was_heard: bool,
) -> Bill:
    if ledger.newest is None:
        return bill_without_ledger(record, status, result, instance, now, was_heard=was_heard)
    live = instance.launch if instance.is_live else None
    return bill_of(ledger, record, status, result, live, now)


def _of_the_newest(
    record: RunRecord,
    status: Status | None,
    result: Result | None,
    instance: InstanceView,
    now: datetime,
    ledger: Ledger,
    at_work: AtWork,
) -> tuple[Status | None, Result | None, InstanceView]:
    """What heartbeat, result and infra say about the newest launch only."""
    newest = ledger.newest
    if newest is None:
        created_at = instance.created_at
        if status is not None and created_at and status.updated_at < created_at:
            status = _of_an_earlier_instance(status)
        return status, result, instance
    terms = terms_of(newest, ledger, record, status)
    if instance.launch != newest.number:
        is_gone = newest.is_known_gone or now >= terms.over_at
        phase = Phase.SETUP if newest.ups else Phase.PROVISIONING
        is_live = False if is_gone and not at_work.is_anothers else None
        instance = InstanceView(is_live=is_live, phase=phase, me=instance.me)
    if status is not None and not is_about(status, newest, terms.requested_at, is_newest=True):
        # A `fintts train` continues after the newest launch.
        is_later = status.launch is None and status.updated_at >= terms.requested_at
        status = status if is_later else _of_an_earlier_instance(status)
    if result is not None and not ends(result, newest, terms.requested_at, is_newest=True):
        result = None
    return status, result, replace(instance, created_at=terms.requested_at)


def _rate(record: RunRecord, instance: InstanceView, bill: Bill) -> Decimal:
    """The hourly rate of the newest instance."""
    if bill.spans:
        return bill.spans[-1].hourly_rate_usd
    return (instance.rates or Rates.of_record(record)).of(instance.gpus)


def _gpus(record: RunRecord, instance: InstanceView, bill: Bill) -> str:
    known = instance.gpus or (bill.spans[-1].gpus if bill.spans else None)
    return known or " or ".join(each.gpus for each in record.rentals)


def _launched_elsewhere(at_work: AtWork) -> str | None:
    """What to say about another laptop's launch until its trainer reports."""
    if not at_work.is_anothers or at_work.launch is None or at_work.heard_at is not None:
        return None
    return at_work.sentence


def _is_silent(
    status: Status | None, result: Result | None, instance: InstanceView, now: datetime
) -> bool:
    """Whether the run is silent, as after a `fintts train` that was killed or interrupted."""
    if status is None or result is not None or instance.is_live is not None:
        return False
    limit = FRESH_WITHIN if status.phase == Phase.STOPPING else STALE_AFTER
    return now - status.updated_at > limit


def _of_an_earlier_instance(status: Status) -> Status:
    """The heartbeat of an instance that is gone: it says where the run stands, not what it does
    now."""
    return status.model_copy(update={"phase": Phase.PROVISIONING, "eta_seconds": None})


def _phase(
    status: Status | None, result: Result | None, instance: InstanceView, now: datetime
) -> tuple[Phase, str | None]:
    """The phase, and a remark about it."""
    if result is not None:
        return _ended(result, instance)
    if instance.is_live is False:
        return Phase.FAILED, _lost(status, instance.message)
    if instance.is_live and instance.message is not None:
        return instance.phase or Phase.TEARING_DOWN, instance.message
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


def _ended(result: Result, instance: InstanceView) -> tuple[Phase, str | None]:
    if instance.is_live:
        return Phase.TEARING_DOWN, instance.message or result.message
    return (Phase.FAILED if result.stop_reason in BAD_ENDINGS else Phase.DONE), result.message


def _lost(status: Status | None, why: str | None) -> str:
    if status is None and why is not None:
        return f"the run got no instance: {why}"
    if status is None:
        return "the instance is gone, and the trainer never wrote a heartbeat: see the logs"
    committed = status.last_committed_step
    saved = "no checkpoint" if committed is None else f"the checkpoint of step {committed}"
    reason = f" ({status.message or why})" if status.message or why else ""
    return f"the instance ended at step {status.step} without a result{reason}; {saved} was saved"


def _taken_away(status: Status | None) -> str:
    committed = None if status is None else status.last_committed_step
    where = "starts over" if committed is None else f"resumes from step {committed}"
    return f"the cloud took the instance away; the run {where} on the next instance"


def _eta(phase: Phase, status: Status | None) -> float | None:
    if phase in (Phase.DONE, Phase.FAILED, Phase.TEARING_DOWN):
        return 0.0
    return status.eta_seconds if status else None


def _stop_forecast(phase: Phase, status: Status | None, rate: Decimal) -> PricedForecast | None:
    if status is None or status.stop_forecast is None or phase not in AT_WORK:
        return None
    return PricedForecast(status.stop_forecast, rate)


def _max_steps(record: RunRecord, status: Status | None) -> int:
    if status is not None:
        return status.max_steps
    training = record.config.get("training")
    steps = training.get("max_steps") if isinstance(training, dict) else None
    return steps if isinstance(steps, int) and 0 <= steps <= STEPS else 0


def _cents(amount: Decimal | None) -> float | None:
    return None if amount is None else float(round(amount, 2))
