"""An instance that is rented for good: a cluster of SkyPilot's, which tears itself down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fintts_cli.infra import InstancePhase
from fintts_cli.infra.labels import deadline_of
from fintts_cli.infra.sky.record import gpus_of
from fintts_cli.infra.sky.session import await_request, take_back

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_cli.infra.sky.record import SkyRecord

SETTING_UP = frozenset({"INIT", "PENDING", "SETTING_UP"})

ENDING = frozenset({"STOPPED", "AUTOSTOPPING"})
"""STOPPED: it has shut itself down, and its disk is billed."""


class Cluster:
    """A run's cluster; `sky` is the SDK. What SkyPilot raises is passed on."""

    def launch(self, sky: Any, record: SkyRecord, task: Any) -> None:
        """Returns when the job is in the cluster's queue: from then on it needs nobody."""
        await_request(sky, sky.launch(task, cluster_name=record.cluster))

    def look(self, sky: Any, record: SkyRecord) -> tuple[SkyRecord, InstancePhase] | None:
        """What SkyPilot, having asked the cloud, says; None if there is no such cluster."""
        cluster = self._cluster(sky, record.cluster, sky.StatusRefreshMode.AUTO)
        if cluster is None or _is_anothers(cluster, record):
            return None
        began = datetime.fromtimestamp(cluster.launched_at, UTC)
        fields = {"created_at": record.created_at or began, "gpus": _gpus(cluster) or record.gpus}
        seen = record.model_copy(update={"was_seen": True, **fields})
        if cluster.status.value in ENDING:
            return seen, InstancePhase.TEARING_DOWN
        if cluster.status != sky.ClusterStatus.UP:
            return seen, InstancePhase.PROVISIONING
        job = self._job(sky, record.cluster)
        if job is None or job.status.value in SETTING_UP:
            return seen, InstancePhase.SETUP
        if not job.status.is_terminal():
            return seen, InstancePhase.RUNNING
        code = 0 if job.status.value == "SUCCEEDED" else 1
        return seen.model_copy(update={"exit_code": code}), InstancePhase.TEARING_DOWN

    def tail(self, sky: Any, record: SkyRecord, *, follow: bool) -> Iterable[str | None]:
        """The lines of the job, None where there is none for a while."""
        lines: Iterable[str | None] = sky.tail_logs(
            record.cluster, None, follow, preload_content=False
        )
        return lines

    def remove(self, sky: Any, record: SkyRecord) -> SkyRecord:
        """Returns when the cloud says that it is gone; another launch's of this name stays."""
        take_back(sky, record.cluster, deadline_at=record.deadline_at)
        known = self._cluster(sky, record.cluster, sky.StatusRefreshMode.NONE)
        if known is None or not _is_anothers(known, record):
            remove_cluster(sky, record.cluster)  # SkyPilot does not list all that it removes
        return record

    @staticmethod
    def _cluster(sky: Any, name: str, refresh: Any) -> Any:
        """SkyPilot's entry, or None; AUTO asks the cloud where a cluster may have gone unaided."""
        try:
            found: list[Any] = sky.get(sky.status([name], refresh=refresh))
        except sky.exceptions.ClusterDoesNotExist:
            return None
        return next(iter(found), None)

    @staticmethod
    def _job(sky: Any, cluster: str) -> Any:
        """The newest job of the cluster; None while it has none, or cannot be asked."""
        try:
            jobs = sky.get(sky.queue(cluster))
        except Exception:  # SSH fails in many ways; that the instance is there is known already
            return None
        return max(jobs, key=lambda job: int(job.job_id), default=None)


def _is_anothers(cluster: Any, record: SkyRecord) -> bool:
    """Whether its label says that another launch asked for it: a server of SkyPilot's may be
    several laptops', and both call the run's cluster the same."""
    theirs, ours = deadline_of(cluster.labels), record.deadline_at
    return theirs is not None and ours is not None and theirs != ours


def _gpus(cluster: Any) -> str | None:
    """What SkyPilot has found; nothing while it still looks for an instance."""
    resources = getattr(cluster.handle, "launched_resources", None)
    return gpus_of(getattr(resources, "accelerators", None))


def remove_cluster(sky: Any, name: str) -> None:
    """Returns when it is gone; one that SkyPilot does not know is."""
    try:
        sky.get(sky.down(name))
    except sky.exceptions.ClusterDoesNotExist:
        return
