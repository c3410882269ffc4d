"""The periods in which a launch had an instance: one, or several in turn on spot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_store.runs.ledger import Evidence, Gone

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from fintts_store.runs.ledger import Launch, Up


@dataclass(slots=True)
class Period:
    """The time from a request, or a sighting, to the first sighting without the instance."""

    began: datetime
    gone: datetime | None
    alive: datetime | None
    """when it was last seen alive"""
    gpus: set[str]
    evidence: Evidence = Evidence.CLOUD
    """of its end"""
    up_at: datetime | None = None
    hourly_rate_usd: Decimal | None = None
    """the rate that the cloud reports"""
    replaced_at: datetime | None = None
    """when the instance that this one replaces was gone"""


def periods_of(
    launch: Launch, requested_at: datetime, *, is_spot: bool, heard_at: datetime | None
) -> list[Period]:
    """The periods in order; the last one may still continue."""
    if not is_spot:
        return [_single(requested_at, launch)]
    periods = _one_after_the_other(requested_at, launch)
    last_gone = periods[-1].gone
    if last_gone is not None and heard_at is not None and heard_at > last_gone:
        # Another instance; its start was not seen.
        periods.append(Period(last_gone, None, heard_at, set(), replaced_at=last_gone))
    return periods


def _single(began: datetime, launch: Launch) -> Period:
    first = min(launch.standing_gones, key=_rank, default=None)
    alive = [gone.alive_at for gone in launch.gones if gone.alive_at is not None]
    came = [up.at for up in launch.ups if first is None or up.at <= first.at]
    gpus = {up.gpus for up in launch.ups if up.gpus}
    period = Period(
        began, None, max([*alive, *came], default=None), gpus, up_at=min(came, default=None)
    )
    if first is not None:
        period.gone, period.evidence = first.at, first.evidence
    return period


def _rank(gone: Gone) -> tuple[datetime, int]:
    return gone.at, list(Evidence).index(gone.evidence)


def _one_after_the_other(began: datetime, launch: Launch) -> list[Period]:
    """One period for each instance: one seen up after another was gone is a new one."""
    periods = [Period(began, None, None, set())]
    seen: list[Up | Gone] = [*launch.ups, *sorted(launch.gones, key=_rank)]
    for one in sorted(seen, key=lambda each: (each.at, isinstance(each, Gone))):
        last = periods[-1]
        if isinstance(one, Gone):
            if last.gone is None:
                last.gone, last.evidence = one.at, one.evidence
                last.hourly_rate_usd = one.hourly_rate_usd
                last.alive = latest(last.alive, one.alive_at)
        elif last.gone is not None:
            gpus = {one.gpus} if one.gpus else set[str]()
            periods.append(Period(one.at, None, one.at, gpus, up_at=one.at, replaced_at=last.gone))
        else:
            last.up_at = last.up_at or one.at
            last.gpus |= {one.gpus} if one.gpus else set()
            last.alive = latest(last.alive, one.at)
    return periods


def latest(*moments: datetime | None) -> datetime | None:
    """The latest of the known moments."""
    return max((each for each in moments if each is not None), default=None)
