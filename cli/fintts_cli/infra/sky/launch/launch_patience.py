"""Takes back an instance that does not become ready, and tries the next place.

SkyPilot waits without a limit for a pod without a public address, and for a machine that never
boots; both are billed meanwhile.
"""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.rentals.record import place
from fintts_cli.infra.sky.server.queries import await_request
from fintts_cli.prices.market import Wanted, find_offers
from fintts_cli.prices.source import CatalogMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fintts_cli.prices.source import OfferSource
    from fintts_cost.prices.offer import Offer

POLL_SECONDS = 10.0


class Watch:
    """Looks at a cluster that is being launched, and cancels the request when one place has taken
    longer than the limit."""

    def __init__(
        self, sky: Any, cluster: str, request: Any, limit_seconds: float, poll_seconds: float
    ) -> None:
        self.place = ""
        """where SkyPilot waits, as in `--infra`"""
        self.is_over = False
        """whether the limit is over"""
        self._sky, self._cluster, self._request = sky, cluster, request
        self._limit_seconds, self._poll_seconds = limit_seconds, poll_seconds
        self._answered = Event()
        self._thread = Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stops looking."""
        self._answered.set()
        self._thread.join()

    def _look_on(self) -> None:
        since: float | None = None
        while not self._answered.wait(self._poll_seconds):
            where, is_ready = self._look()
            if is_ready:
                return
            if where is None or where != self.place or since is None:
                self.place, since = where or "", None if where is None else time.monotonic()
            elif time.monotonic() - since > self._limit_seconds:
                self.is_over = True
                with suppress(Exception):  # what was started is removed next
                    self._sky.get(self._sky.api_cancel(self._request))
                return

    def _look(self) -> tuple[str | None, bool]:
        """Where SkyPilot is, None if nowhere yet or not known, and whether the cluster is up."""
        try:
            refresh = self._sky.StatusRefreshMode.NONE
            found = self._sky.get(self._sky.status([self._cluster], refresh=refresh))
        except Exception:  # SkyPilot may fail in any way, and says so where its answer is needed
            return None, False
        if not found:
            return None, False
        one = found[0]
        return place(str(one.cloud or ""), one.region), one.status == self._sky.ClusterStatus.UP


def launch_patiently(
    sky: Any,
    task: Any,
    cluster: str,
    limit_seconds: float,
    take_back: Callable[[], object],
    offers: OfferSource,
    note: Callable[[str], object],
    *,
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Returns once the job is in the cluster's queue.

    Args:
        limit_seconds: how long an instance may take to become ready.
        take_back: removes what a request left, once it is cancelled.
        offers: the places to try next.
        note: called with a sentence for each place that is given up.

    Raises:
        CloudError: no instance became ready; nothing is left.
    """
    tried: list[str] = []
    while True:
        request = sky.launch(task, cluster_name=cluster)
        watch = Watch(sky, cluster, request, limit_seconds, poll_seconds)
        try:
            await_request(sky, request)
            return
        except Exception:
            if not watch.is_over:
                raise
        finally:
            watch.end()
        take_back()
        tried.append(watch.place)
        note(f"no instance became ready in {watch.place}; it is taken back")
        left = _elsewhere(task, tried, offers)
        if not left:
            raise CloudError(
                f"no instance became ready within {limit_seconds / 60:.0f} minutes in "
                f"{', '.join(tried)}, and it was taken back",
                "--launch-patience-seconds waits longer; --infra and --gpus take another place",
            )
        task.set_resources(left)


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
