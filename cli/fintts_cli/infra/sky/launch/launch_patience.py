"""Takes back an instance that does not become ready, and tries the next place.

SkyPilot waits without a limit for a pod without a public address, and for a machine that never
boots; both are billed meanwhile. A managed job also waits for capacity without a limit.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.launch.refusals import (
    NotReadyInTime,
    RefusedEverywhere,
    is_refused_for_good,
)
from fintts_cli.infra.sky.rentals.record import place
from fintts_cli.infra.sky.rentals.waiting import Requesting, Waiting
from fintts_cli.infra.sky.server.queries import await_request
from fintts_cli.prices.market import Wanted, find_offers
from fintts_cli.prices.source import CatalogMissing
from fintts_cli.views.units import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fintts_cli.infra.sky.rentals.record import SkyRecord
    from fintts_cli.prices.source import OfferSource
    from fintts_cost.prices.offer import Offer

POLL_SECONDS = 10.0


class Watch:
    """Looks at a request for an instance, and ends it when no new place has come up for longer than
    the limit."""

    def __init__(
        self,
        look: Callable[[], Waiting],
        give_up: Callable[[], object],
        is_hopeless: Callable[[], bool],
        limit_seconds: float,
        poll_seconds: float,
    ) -> None:
        self.places: list[str] = []
        """where SkyPilot tried, as in `--infra`, the last one at the end"""
        self.has_tried_all = False
        """whether each place that the task allows has refused"""
        self.is_hopeless = False
        """whether no place would give an instance later either"""
        self.is_over = False
        """whether the request was given up: hopeless, or the limit is over"""
        self.failure: str | None = None
        """why SkyPilot gave the request up"""
        self._ask, self._give_up, self._ask_whether_hopeless = look, give_up, is_hopeless
        self._limit_seconds, self._poll_seconds = limit_seconds, poll_seconds
        self._answered = Event()
        self._thread = Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def await_end(self) -> None:
        """Returns once the instance is ready, SkyPilot gave up, or the limit is over."""
        self._thread.join()

    def end(self) -> None:
        """Stops looking."""
        self._answered.set()
        self._thread.join()

    def _look_on(self) -> None:
        since = time.monotonic()
        while True:
            now = self._look()
            self.failure = now.failure
            if now.is_ready or now.failure is not None:
                return
            if now.has_tried_all:
                self.has_tried_all |= bool(self.places)
                self.is_hopeless = self._ask_whether_hopeless()
            if now.place is not None and now.place not in self.places:
                self.places.append(now.place)
                since = time.monotonic()
            self.is_over = self.is_hopeless or time.monotonic() - since > self._limit_seconds
            if self.is_over:
                with suppress(Exception):  # what was started is removed next
                    self._give_up()
                return
            if self._answered.wait(self._poll_seconds):
                return

    def _look(self) -> Waiting:
        try:
            return self._ask()
        except Exception:  # SkyPilot may fail in any way, and says so where its answer is needed
            return Waiting()


def launch_patiently(
    sky: Any,
    task: Any,
    rental: Requesting,
    record: SkyRecord,
    limit_seconds: float,
    offers: OfferSource,
    *,
    take_back: Callable[[SkyRecord], object],
    renew: Callable[[SkyRecord], SkyRecord],
    note: Callable[[str], object],
    poll_seconds: float = POLL_SECONDS,
) -> SkyRecord:
    """Returns once the instance is ready and has its job: the record of the request that got it.

    Args:
        limit_seconds: how long an instance may take to become ready; the deadline in the record
            ends it sooner.
        offers: the places to try next.
        take_back: removes what a request left.
        renew: gives the record of the next request, once it is written.
        note: called with a sentence for each request that is given up.

    Raises:
        CloudError: no instance became ready; nothing is left.
    """
    tried: list[str] = []
    while True:
        watch = _given_up(sky, task, rental, record, limit_seconds, poll_seconds)
        if watch is None:
            return record
        take_back(record)
        if watch.is_hopeless:
            raise RefusedEverywhere("no instance is available: every place refuses it")
        tried += watch.places if watch.has_tried_all else watch.places[-1:]
        note(f"no instance became ready{_in(watch.places)}; it is taken back")
        is_late = _seconds_left(record) <= 0
        is_all = watch.has_tried_all or not watch.places or is_late
        left = [] if is_all else _elsewhere(task, tried, offers)
        if not left:
            within = (
                "before its deadline"
                if is_late
                else f"within {counted(round(limit_seconds / 60), 'minute')}"
            )
            raise NotReadyInTime(
                f"no instance became ready {within}{_in(tried)}, and it was taken back",
                "--launch-patience-seconds waits longer; --infra and --gpus take another place",
            )
        task.set_resources(left)
        record = renew(record)


def _given_up(
    sky: Any,
    task: Any,
    rental: Requesting,
    record: SkyRecord,
    limit_seconds: float,
    poll_seconds: float,
) -> Watch | None:
    """Makes a request; returns None once the instance is ready, and what was seen if it was given
    up.

    Raises:
        CloudError: SkyPilot gave the request up; it also passes on what SkyPilot raises.
    """
    request = rental.ask(sky, record, task)
    watch = Watch(
        lambda: rental.waiting(sky, record),
        lambda: sky.get(sky.api_cancel(request)),
        lambda: is_refused_for_good(rental.said(sky, record)),
        min(limit_seconds, _seconds_left(record)),
        poll_seconds,
    )
    try:
        await_request(sky, request)
        if rental.is_ready_when_answered:
            return None  # also if it was given up at the same moment
        watch.await_end()
    except Exception:
        if not watch.is_over:
            raise
    finally:
        watch.end()
    if watch.failure is not None:
        raise CloudError(f"no instance is available: {watch.failure}")
    return watch if watch.is_over else None


def _seconds_left(record: SkyRecord) -> float:
    """Until the deadline; infinite if the record has none."""
    if record.deadline_at is None:
        return inf
    return (record.deadline_at - datetime.now(UTC)).total_seconds()


def _in(places: Sequence[str]) -> str:
    return f" in {', '.join(dict.fromkeys(places))}" if places else ""


def _elsewhere(sky_task: Any, tried: Sequence[str], offers: OfferSource) -> list[Any]:
    """The same resources at every place but these, in the task's order, then by price."""
    return [
        resources.copy(
            cloud=None,
            region=None,
            zone=None,
            infra="/".join(part for part in (offer.cloud, offer.region) if part),
        )
        for resources in sky_task.resources
        for offer in _offers_of(resources, offers)
        if place(offer.cloud, offer.region) not in tried
    ]


def _offers_of(resources: Any, offers: OfferSource) -> list[Offer]:
    """The offers that these resources accept, the cheapest first; none if no list has them."""
    (name, count) = next(iter(resources.accelerators.items()))
    cloud, region = resources.cloud, resources.region
    wanted = Wanted(
        name,
        int(count),
        bool(resources.use_spot),
        str(cloud).lower() if cloud else None,
        region.lower() if region else None,
    )
    try:
        found = find_offers(offers, wanted).offers
    except (CatalogMissing, CloudError):
        return []
    most = resources.max_hourly_cost
    taken = [
        offer
        for offer in found
        if offer.may_be_chosen
        and wanted.is_launched(offer)
        and (most is None or float(offer.hourly_rate_usd) <= most)
    ]
    return sorted(taken, key=lambda offer: offer.hourly_rate_usd)
