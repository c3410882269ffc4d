"""An on-demand instance: a SkyPilot cluster that tears itself down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fintts_cli.infra import InstancePhase
from fintts_cli.infra.labels import deadline_of
from fintts_cli.infra.sky.launch.provision_log import provision_log
from fintts_cli.infra.sky.rentals.record import gpus_of, place
from fintts_cli.infra.sky.rentals.waiting import Waiting
from fintts_cli.infra.sky.server.requests import remove_cluster, take_back

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_cli.infra.sky.rentals.record import SkyRecord

SETTING_UP = frozenset({"INIT", "PENDING", "SETTING_UP"})

ENDING = frozenset({"STOPPED", "AUTOSTOPPING"})
"""STOPPED: the instance has shut itself down, and its disk is billed."""


class Cluster:
    """A run's cluster; `sky` is the SDK. Passes on what SkyPilot raises."""

    is_ready_when_answered = True

    def ask(self, sky: Any, record: SkyRecord, task: Any) -> Any:
        """SkyPilot's id of the request, which it answers once the job is in the cluster's queue."""
        return sky.launch(task, cluster_name=record.cluster)

    def waiting(self, sky: Any, record: SkyRecord) -> Waiting:
        """Where SkyPilot tries to get the instance."""
        cluster = self._cluster(sky, record.cluster, sky.StatusRefreshMode.NONE)
        if cluster is None:
            return Waiting()
        where = place(str(cluster.cloud or ""), cluster.region)
        return Waiting(where or None, is_ready=cluster.status == sky.ClusterStatus.UP)

    def said(self, sky: Any, record: SkyRecord) -> str:
        """What SkyPilot wrote for itself while it asked for the instance; empty if unknown."""
        return provision_log(sky, record.cluster)

    def look(self, sky: Any, record: SkyRecord) -> tuple[SkyRecord, InstancePhase] | None:
        """SkyPilot's answer, after asking the cloud; None if there is no such cluster."""
        cluster = self._cluster(sky, record.cluster, sky.StatusRefreshMode.AUTO)
        if cluster is None or _is_anothers(cluster, record):
            return None
        began = datetime.fromtimestamp(cluster.launched_at, UTC)
        fields = {
            "created_at": record.created_at or began,
            "gpus": _gpus(cluster) or record.gpus,
            "cloud": str(cluster.cloud).lower() if cluster.cloud else record.cloud,
        }
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
        """The lines of the job; None when there is none for a while."""
        lines: Iterable[str | None] = sky.tail_logs(
            record.cluster, None, follow, preload_content=False
        )
        return lines

    def remove(self, sky: Any, record: SkyRecord) -> SkyRecord:
        """Returns once the cloud reports it gone; keeps another launch's cluster of this name."""
        take_back(sky, record.cluster, deadline_at=record.deadline_at)
        known = self._cluster(sky, record.cluster, sky.StatusRefreshMode.NONE)
        if known is None or not _is_anothers(known, record):
            remove_cluster(sky, record.cluster)  # SkyPilot does not list everything that it removes
        return record

    @staticmethod
    def _cluster(sky: Any, name: str, refresh: Any) -> Any:
        """SkyPilot's entry, or None; AUTO asks the cloud if a cluster may have ended on its own."""
        try:
            found: list[Any] = sky.get(sky.status([name], refresh=refresh))
        except sky.exceptions.ClusterDoesNotExist:
            return None
        return next(iter(found), None)

    @staticmethod
    def _job(sky: Any, cluster: str) -> Any:
        """The newest job of the cluster; None if it has none yet, or does not answer."""
        try:
            jobs = sky.get(sky.queue(cluster))
        except Exception:  # SSH fails in many ways; the instance is already known to exist
            return None
        return max(jobs, key=lambda job: int(job.job_id), default=None)


def _is_anothers(cluster: Any, record: SkyRecord) -> bool:
    """Whether its label names another launch: several laptops may share a SkyPilot server, and both
    use the same name for the run's cluster."""
    theirs, ours = deadline_of(cluster.labels), record.deadline_at
    return theirs is not None and ours is not None and theirs != ours


def _gpus(cluster: Any) -> str | None:
    """The GPUs that SkyPilot found; None while it still looks for an instance."""
    resources = getattr(cluster.handle, "launched_resources", None)
    return gpus_of(getattr(resources, "accelerators", None))
