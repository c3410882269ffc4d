"""The two kinds of rental: a cluster on demand, and a managed job on spot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from fintts_cli.infra.sky.cluster import Cluster
from fintts_cli.infra.sky.job import ManagedJob

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_cli.infra import InstancePhase
    from fintts_cli.infra.sky.record import SkyRecord


class Rental(Protocol):
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
