"""Asks the sellers which instances they list, including those that SkyPilot does not know."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fintts_cli.errors import CloudError
from fintts_cli.infra import Holder, Sighting
from fintts_cli.infra.labels import PREFIX
from fintts_cli.infra.sky.launch.refusals import in_the_seller_s_words
from fintts_cli.infra.sky.rentals.record import (
    HEAD,
    NAME_ENDING,
    deadline_in,
    run_of_instance,
    short_job,
    unreadable_run,
)
from fintts_cli.infra.sky.sellers import Listed, Seller, trouble_of
from fintts_cli.infra.sky.sellers.lambda_cloud import Lambda
from fintts_cli.infra.sky.sellers.runpod import RunPod
from fintts_cli.infra.sky.sellers.vast import Vast
from fintts_cli.infra.sky.sellers.verda import Verda
from fintts_cli.infra.sky.server.queries import enabled_clouds
from fintts_cli.timed_call import TimedCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fintts_cli.infra.sky.rentals.record import SkyRecord

SELLERS: tuple[Seller, ...] = (Verda(), RunPod(), Lambda(), Vast())
ANSWERS_WITHIN_SECONDS = 90.0
"""Some clients wait for ever, and others retry for a minute when they asked too often."""
GONE_WITHIN_SECONDS = 600.0
POLL_SECONDS = 2.0

Answer = TypeVar("Answer")


class Found(NamedTuple):
    """An instance, and the seller that lists it."""

    seller: Seller
    listed: Listed

    @property
    def sentence(self) -> str:
        """What the seller says of it."""
        trouble = trouble_of(self.seller, self.listed)
        return trouble or f"{self.seller.title} lists it as {self.listed.status}"


def sellers_of(sky: Any, clouds: Iterable[str]) -> list[Seller]:
    """The sellers among these clouds. The keys of a server elsewhere lie there: none is asked from
    here."""
    asked = frozenset(clouds)
    if not sky.server.common.is_api_server_local():
        return []
    return [seller for seller in SELLERS if seller.cloud in asked]


def listed_by(
    sky: Any, seller: Seller, within_seconds: float = ANSWERS_WITHIN_SECONDS
) -> Sequence[Listed]:
    """What the seller lists.

    Raises CloudError: no answer came in time; whatever the seller's client raises.
    """
    return in_time(seller, lambda: seller.instances(sky), within_seconds)


def still_listed(sky: Any, record: SkyRecord) -> list[Found]:
    """The instances of this launch that a seller lists. Passes on what `listed_by` raises."""
    clouds = {record.cloud} if record.cloud else enabled_clouds(sky)
    return [
        Found(seller, one)
        for seller in sellers_of(sky, clouds)
        for one in listed_by(sky, seller)
        if is_named(sky, seller, one.name, record.cluster)
    ]


def is_asked(sky: Any, record: SkyRecord) -> bool:
    """Whether the one cloud that can have the instance is a seller that answers here."""
    return record.cloud is not None and bool(sellers_of(sky, [record.cloud]))


def is_named(sky: Any, seller: Seller, name: str, cluster: str) -> bool:
    """Whether SkyPilot gives an instance of the cluster this name there."""
    on_cloud: str = sky.utils.common_utils.make_cluster_name_on_cloud(cluster, seller.longest_name)
    return name == on_cloud + HEAD


def is_of_job(sky: Any, name: str, job: str) -> bool:
    """Whether it is the name of an instance of the managed job."""
    return name.startswith(f"{short_job(sky, job)}-")


def remove_left(sky: Any, record: SkyRecord) -> bool:
    """Removes what a seller still lists of this launch; returns whether there was something.

    Raises CloudError: it could not be removed; whatever the seller's client raises.
    """
    left = still_listed(sky, record)
    for found in left:
        remove_listed(sky, found.seller, found.listed.id)
    return bool(left)


def remove_listed(
    sky: Any, seller: Seller, instance_id: str, within_seconds: float = GONE_WITHIN_SECONDS
) -> None:
    """Returns once the seller no longer lists it.

    Raises CloudError: it refuses, or lists it on; whatever the seller's client raises.
    """
    in_time(seller, lambda: seller.remove(sky, instance_id))
    give_up_at = time.monotonic() + within_seconds
    while (one := _of_id(listed_by(sky, seller), instance_id)) is not None:
        if time.monotonic() >= give_up_at:
            raise CloudError(
                f"{seller.title} got the request to delete it, but still lists it as {one.status}"
            )
        time.sleep(POLL_SECONDS)


def _of_id(listed: Iterable[Listed], instance_id: str) -> Listed | None:
    return next((one for one in listed if one.id == instance_id), None)


def sightings_of(sky: Any, seller: Seller, records: Sequence[SkyRecord] = ()) -> list[Sighting]:
    """Our instances among the seller's.

    SkyPilot shortens long names, so this machine's records say which run an instance belongs to.
    Only an instance that another machine launched is recognised by its name.
    """
    ours = [one for one in listed_by(sky, seller) if _is_ours(one.name)]
    return [_sighting(seller, one, _record_of(sky, seller, one.name, records)) for one in ours]


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and name.endswith(HEAD)


def _record_of(
    sky: Any, seller: Seller, name: str, records: Sequence[SkyRecord]
) -> SkyRecord | None:
    named = (one for one in records if is_named(sky, seller, name, one.cluster))
    of_jobs = (one for one in records if one.job is not None and is_of_job(sky, name, one.job))
    return next(chain(named, of_jobs), None)


def _sighting(seller: Seller, one: Listed, record: SkyRecord | None) -> Sighting:
    cluster = NAME_ENDING.sub("", one.name)
    deadline_at = record.deadline_at if record else None
    return Sighting(
        run=record.run if record else run_of_instance(cluster) or unreadable_run(cluster),
        holder=Holder.CLOUD,
        where=one.id,
        infra=seller.cloud,
        created_at=one.created_at or datetime.now(UTC),
        instance_since=one.created_at,
        deadline_at=deadline_at or deadline_in(cluster),
        trouble=trouble_of(seller, one),
        name=one.name,
    )


def in_time(
    seller: Seller, ask: Callable[[], Answer], within_seconds: float = ANSWERS_WITHIN_SECONDS
) -> Answer:
    """What the seller answers.

    Raises CloudError: it refuses, in its words, or does not answer in time.
    """

    def answer() -> Answer:
        try:
            return ask()
        except Exception as error:  # a client raises any kind
            raise in_the_seller_s_words(seller.title, error) from error

    return TimedCall(seller.title, answer, within_seconds, CloudError).result()
