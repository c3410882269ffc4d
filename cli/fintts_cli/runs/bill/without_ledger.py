"""Computes the bill of a run without launches, or launched by a version without a ledger. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fintts_cli.places import LOCAL, TEARDOWN_SECONDS
from fintts_cli.runs.bill.billing import Bill, billed_period
from fintts_cli.runs.bill.periods import Period
from fintts_cli.runs.bill.terms import UNKNOWN_HOST, BillingTerms, Rates
from fintts_cli.runs.bill.witness import Witness
from fintts_store.runs.ledger import Earlier
from fintts_store.runs.records import Phase

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_cli.runs.instances.view import InstanceView
    from fintts_store.runs.records import Result, Status
    from fintts_store.runs.run_record import RunRecord

AUTODOWN_WITHIN = timedelta(seconds=660)
"""A managed job's instance ends itself this long after the run at most, even if its controller is
off."""

RESERVE = {True: timedelta(minutes=5), False: timedelta(minutes=15)}
"""on this machine; on a rented instance"""

LAUNCH = 0
"""stands for a launch without a number"""


def bill_without_ledger(
    record: RunRecord,
    status: Status | None,
    result: Result | None,
    instance: InstanceView,
    now: datetime,
    *,
    was_heard: bool,
) -> Bill:
    """Follows the same rules as `billing`: an end that no one saw is the latest possible moment.

    Args:
        was_heard: whether a trainer wrote something, even if it cannot be read.
    """
    is_here = record.infra == LOCAL
    if not was_heard and instance.created_at is None and (is_here or instance.is_live is False):
        return Bill()
    terms = _terms(record, status, instance)
    # The heartbeat and the result of an earlier instance say nothing about this one.
    heard = status if status and status.updated_at >= terms.requested_at else None
    ended = result if result and result.ended_at >= terms.requested_at else None
    known = Witness(
        heard_at=heard.updated_at if heard else None,
        gpus=instance.gpus,
        ended_at=ended.ended_at if ended else None,
        is_live=bool(instance.is_live),
    )
    periods = _periods(record, status, instance, terms, now)
    spans = tuple(
        billed_period(LAUNCH, terms, period, known, now, is_last=period is periods[-1])
        for period in periods
    )
    usd = instance.earlier_usd
    before = Earlier(seconds=instance.earlier_seconds, usd=usd, is_at_most=False) if usd else None
    return Bill(spans, before)


def _terms(record: RunRecord, status: Status | None, instance: InstanceView) -> BillingTerms:
    is_here, is_spot = record.infra == LOCAL, bool(instance.spans)
    deadline_at = status.deadline_at if status else record.deadline_at
    rented = AUTODOWN_WITHIN if is_spot else timedelta(seconds=TEARDOWN_SECONDS[False])
    first = instance.spans[0].began if instance.spans else instance.created_at
    return BillingTerms(
        requested_at=first or record.created_at,
        over_at=deadline_at + RESERVE[is_here],
        rates=instance.rates or Rates.of_record(record),
        is_spot=is_spot,
        teardown=timedelta() if is_here else rented,
        who="this laptop" if instance.is_live is not None else UNKNOWN_HOST,
    )


def _periods(
    record: RunRecord,
    status: Status | None,
    instance: InstanceView,
    terms: BillingTerms,
    now: datetime,
) -> list[Period]:
    if instance.spans:
        replaced_at = (None, *(span.ended for span in instance.spans))
        return [
            Period(
                span.began,
                span.ended,
                span.began,
                {span.gpus} if span.gpus else set(),
                replaced_at=before,
            )
            for span, before in zip(instance.spans, replaced_at, strict=False)
        ]
    began = terms.requested_at
    gpus = {instance.gpus} if instance.gpus else set[str]()
    alive = began if instance.is_live is None else instance.ended_at or began
    return [Period(began, _gone(record, status, instance, now), alive, gpus)]


def _gone(
    record: RunRecord, status: Status | None, instance: InstanceView, now: datetime
) -> datetime | None:
    """When the instance was seen gone."""
    if instance.is_live:
        return None
    if instance.ended_at is not None:
        return instance.ended_at
    if instance.is_live is False:
        return now
    # A trainer without an instance (`fintts train`) bills until its last heartbeat.
    is_over = status is not None and status.phase in (Phase.FAILED, Phase.STOPPING)
    return status.updated_at if status is not None and is_over and record.infra == LOCAL else None
