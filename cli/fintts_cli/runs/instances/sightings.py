"""What this machine's infra says about a launch, in the ledger's terms. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from fintts_cli.infra import InstancePhase
from fintts_store.runs.ledger import Evidence, Gone, Launch, Ledger, Up

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from decimal import Decimal

    from fintts_cli.infra import InstanceState
    from fintts_store.runs.laptop import Laptop

    Sighting = Up | Gone

SAME_WITHIN = timedelta(seconds=2)


def sightings_of(
    state: InstanceState, run: str, launch: int, me: Laptop, now: datetime, *, is_exact: bool
) -> tuple[Sighting, ...]:
    """When the launch's instances came and went, as far as the infra reports it.

    While a replacement may still come, the newest instance counts as billing.

    Args:
        is_exact: whether an end that the infra reports is the exact moment.
    """
    if state.spans:
        came = [
            Up(run=run, launch=launch, at=span.began, gpus=span.gpus, seen_by=me)
            for span in state.spans
        ]
        # In the ledger, the end of the newest instance ends the launch: report it once no other can
        # follow.
        ended = state.spans[:-1] if state.is_live else state.spans
        went = [
            gone(run, launch, span.ended, me, hourly_rate_usd=span.hourly_rate_usd)
            for span in ended
            if span.ended is not None
        ]
        return (*came, *went)
    is_up = state.phase not in (InstancePhase.PROVISIONING, InstancePhase.GONE)
    up = Up(run=run, launch=launch, at=state.created_at, gpus=state.gpus, seen_by=me)
    if state.phase == InstancePhase.GONE:
        alive_at = state.ended_at if is_exact else None
        return (gone(run, launch, state.ended_at or now, me, alive_at=alive_at),)
    return (up,) if is_up else ()


def gone(
    run: str,
    launch: int,
    at: datetime,
    me: Laptop,
    *,
    alive_at: datetime | None = None,
    hourly_rate_usd: Decimal | None = None,
) -> Gone:
    """A sighting of the cloud without the instance."""
    return Gone(
        run=run,
        launch=launch,
        at=at,
        evidence=Evidence.CLOUD,
        alive_at=alive_at,
        hourly_rate_usd=hourly_rate_usd,
        seen_by=me,
    )


def news_of(ledger: Ledger, seen: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """The sightings that the ledger does not have yet."""
    known = {launch.number: launch for launch in ledger.launches}
    return tuple(
        one for one in seen if one.launch in known and not _is_known(known[one.launch], one)
    )


def _is_known(launch: Launch, one: Sighting) -> bool:
    is_spot = launch.asked is not None and launch.asked.spot
    before: tuple[Sighting, ...] = launch.ups
    if isinstance(one, Gone):
        before = launch.gones if is_spot else launch.standing_gones
    if not is_spot:  # keep the first sighting, unless a later one shows an earlier end
        return any(isinstance(one, Up) or each.at <= one.at + SAME_WITHIN for each in before)
    return any(abs(each.at - one.at) <= SAME_WITHIN for each in before)


def with_sightings(ledger: Ledger, seen: Iterable[Sighting]) -> Ledger:
    """The ledger after these sightings are written."""
    more = list(seen)

    def joined(launch: Launch) -> Launch:
        own = [each for each in more if each.launch == launch.number]
        ups = tuple(each for each in own if isinstance(each, Up))
        gones = tuple(each for each in own if isinstance(each, Gone))
        return replace(launch, ups=launch.ups + ups, gones=launch.gones + gones)

    return replace(ledger, launches=tuple(map(joined, ledger.launches)))
