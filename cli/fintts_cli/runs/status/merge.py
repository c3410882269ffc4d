"""Merges what the store and the infra say about a run into one view."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fintts_cli.runs.bill.billing import Bill, bill_of
from fintts_cli.runs.bill.terms import Rates, terms_of
from fintts_cli.runs.bill.without_ledger import bill_without_ledger
from fintts_cli.runs.bill.witness import ends, is_about
from fintts_cli.runs.deadline import deadline_of_run
from fintts_cli.runs.instances.at_work import IDLE, AtWork
from fintts_cli.runs.instances.sightings import news_of, with_sightings
from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.report.stored import teardown_seconds
from fintts_cli.runs.status.phase import is_silent, phase_of
from fintts_cli.runs.status.stop_forecast import PricedForecast
from fintts_cli.runs.status.stop_reason import patience_of
from fintts_cli.runs.status.view import AT_WORK, RunView
from fintts_cost.money import cost_to_finish_usd
from fintts_store.runs.laptop import UNKNOWN_LAPTOP
from fintts_store.runs.ledger import Ledger
from fintts_store.runs.limits import STEPS
from fintts_store.runs.records import Phase

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from fintts_store.errors import StoreError
    from fintts_store.runs.records import Result, Status
    from fintts_store.runs.run_record import RunRecord

NO_LEDGER = Ledger()
TRAINER_ENDED = (Phase.DONE, Phase.FAILED, Phase.TEARING_DOWN)


def view_run(
    record: RunRecord,
    status: Status | None,
    result: Result | None,
    instance: InstanceView,
    now: datetime,
    ledger: Ledger = NO_LEDGER,
    at_work: AtWork = IDLE,
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
    phase, message = phase_of(status, result, instance, now)
    eta_seconds = _eta(phase, status)
    rate, gpus = _rate(record, instance, bill), _gpus(record, instance, bill)
    ending_seconds = 0.0 if phase in TRAINER_ENDED else teardown_seconds(record, gpus)
    last, deadline_at = result or status, deadline_of_run(record, status, ledger)
    is_waiting = phase == Phase.PROVISIONING and bool(instance.is_live)
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
        deadline_at=deadline_at,
        seconds_per_step=status.seconds_per_step if status else None,
        eta_seconds=eta_seconds,
        hourly_rate_usd=rate,
        bill=bill,
        cost_to_finish_usd=cost_to_finish_usd(
            None if eta_seconds is None else eta_seconds + ending_seconds, rate
        ),
        infra=record.infra,
        gpus=gpus,
        instance=instance.name,
        instance_is_live=instance.is_live,
        is_too_late=is_waiting and now > deadline_at,
        is_silent=not at_work.is_anothers and is_silent(status, result, instance, now),
        ledger=ledger,
        at_work=at_work,
        me=instance.me or UNKNOWN_LAPTOP,
        has_instance_here=is_here,
        is_known_here=is_elsewhere or (ledger.newest and ledger.newest.number) == launch,
        patience=patience_of(record.config),
        stop_forecast=_stop_forecast(phase, status, rate, ending_seconds),
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


def _of_an_earlier_instance(status: Status) -> Status:
    """The heartbeat of an instance that is gone: it says where the run stands, not what it does
    now."""
    return status.model_copy(update={"phase": Phase.PROVISIONING, "eta_seconds": None})


def _eta(phase: Phase, status: Status | None) -> float | None:
    if phase in TRAINER_ENDED:
        return 0.0
    return status.eta_seconds if status else None


def _stop_forecast(
    phase: Phase, status: Status | None, rate: Decimal, ending_seconds: float
) -> PricedForecast | None:
    if status is None or status.stop_forecast is None or phase not in AT_WORK:
        return None
    return PricedForecast(status.stop_forecast, rate, ending_seconds)


def _max_steps(record: RunRecord, status: Status | None) -> int:
    if status is not None:
        return status.max_steps
    training = record.config.get("training")
    steps = training.get("max_steps") if isinstance(training, dict) else None
    return steps if isinstance(steps, int) and 0 <= steps <= STEPS else 0
