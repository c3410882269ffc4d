"""Removes instances: through SkyPilot, and then what their seller still lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra import Holder
from fintts_cli.infra.sky.aws import AWS, terminate
from fintts_cli.infra.sky.record import SkyRecord
from fintts_cli.infra.sky.rental import rental_of
from fintts_cli.infra.sky.sellers.desk import SELLERS, remove_left, remove_listed
from fintts_cli.places import cloud_of

if TYPE_CHECKING:
    from fintts_cli.infra import Sighting


def remove(sky: Any, record: SkyRecord) -> SkyRecord:
    """Returns the final record once the instance is gone; passes on what SkyPilot or the seller
    raises.

    SkyPilot fails over states that it does not know: then the seller alone removes it.
    """
    try:
        last = rental_of(record).remove(sky, record)
    except Exception:
        if not remove_left(sky, record):
            raise
        return record
    remove_left(sky, last)
    return last


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
