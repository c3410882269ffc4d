"""The two kinds of rental, a cluster on demand and a managed job on spot, and their removal."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from fintts_cli.errors import CloudError
from fintts_cli.infra import Holder
from fintts_cli.infra.sky.aws import AWS, terminate
from fintts_cli.infra.sky.rentals.cluster import Cluster
from fintts_cli.infra.sky.rentals.job import ManagedJob
from fintts_cli.infra.sky.rentals.record import SkyRecord
from fintts_cli.infra.sky.rentals.waiting import Requesting
from fintts_cli.infra.sky.sellers.desk import SELLERS, is_asked, remove_left, remove_listed
from fintts_cli.places import cloud_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_cli.infra import InstancePhase, Sighting


class Rental(Requesting, Protocol):
    """How an instance is rented, in SkyPilot's own terms. Passes on what SkyPilot raises."""

    def look(self, sky: Any, record: SkyRecord) -> tuple[SkyRecord, InstancePhase] | None:
        """SkyPilot's answer now; None if it knows nothing of that name."""
        ...

    def tail(self, sky: Any, record: SkyRecord, *, follow: bool) -> Iterable[str | None]:
        """The lines of the job; None when there is none for a while."""
        ...

    def remove(self, sky: Any, record: SkyRecord) -> SkyRecord:
        """Returns the final record, once the cloud reports the instance gone."""
        ...


def rental_of(record: SkyRecord) -> Rental:
    """The kind of rental behind the record."""
    return Cluster() if record.job is None else ManagedJob()


def remove(sky: Any, record: SkyRecord) -> SkyRecord:
    """Removes an instance through SkyPilot, and then what its seller still lists. Returns the final
    record once it is gone; passes on what SkyPilot or the seller raises.

    SkyPilot fails over states that it does not know, and on Lambda over a cluster that never got an
    instance. Then the seller alone removes what it lists, and its word counts.
    """
    try:
        last = rental_of(record).remove(sky, record)
    except Exception:
        if not remove_left(sky, record) and not is_asked(sky, record):
            raise
        _forget(sky, record)
        return record
    remove_left(sky, last)
    return last


def _forget(sky: Any, record: SkyRecord) -> None:
    """Takes a cluster that its seller does not list out of SkyPilot's records."""
    if record.job is None:
        with suppress(Exception):  # the instance is gone all the same
            sky.get(sky.down(record.cluster, purge=True))


def remove_sighting(sky: Any, sighting: Sighting) -> None:
    """The same for what a census saw."""
    if sighting.holder == Holder.CLOUD:
        _remove_from_the_cloud(sky, sighting)
        return
    is_job = sighting.holder == Holder.MANAGED_JOB
    record = SkyRecord(
        run=sighting.run,
        cluster=sighting.where,
        job=sighting.where if is_job else None,
        requested_at=sighting.created_at,
        deadline_at=sighting.deadline_at,
        cloud=cloud_of(sighting.infra) or None,
    )
    remove(sky, record)


def _remove_from_the_cloud(sky: Any, sighting: Sighting) -> None:
    cloud = cloud_of(sighting.infra)
    if cloud == AWS:
        terminate(sky, sighting)
        return
    seller = next((one for one in SELLERS if one.cloud == cloud), None)
    if seller is None:
        raise CloudError(f"fintts cannot ask {cloud} to remove it")
    remove_listed(sky, seller, sighting.where)
