"""The clusters of managed jobs, in SkyPilot's report of everything that it rented."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fintts_cli.infra import Span
from fintts_cli.infra.sky.prices.spot_price import priced
from fintts_cli.infra.sky.rentals.record import gpus_of, short_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.infra.sky.rentals.record import SkyRecord

REMEMBERED_DAYS = 30
"""the age limit for clusters that SkyPilot is asked about"""


def report_of(sky: Any) -> list[dict[str, Any]]:
    """Everything that SkyPilot rented; `status` is None for what is gone. SkyPilot's own list of
    clusters leaves out those of managed jobs."""
    report: list[dict[str, Any]] = sky.get(sky.cost_report(days=REMEMBERED_DAYS))
    return report


def clusters_named(sky: Any, name: str) -> list[dict[str, Any]]:
    """Everything that SkyPilot rented under this name, oldest first."""
    return named_in(report_of(sky), name)


def clusters_of_job(sky: Any, job: str) -> list[dict[str, Any]]:
    """The same for a job that SkyPilot no longer lists, so that the end of the cluster names is
    unknown."""
    short = short_job(sky, job)
    ours = [one for one in report_of(sky) if job_in(one["name"]) == short]
    return sorted(ours, key=lambda cluster: cluster["launched_at"] or 0)


def job_in(cluster: str) -> str:
    """The job's name, as shortened as in its cluster's."""
    return cluster.rpartition("-")[0]


def cluster_of_job(sky: Any, job: Any) -> str:
    """The name of its instances. SkyPilot lists it only while an instance exists."""
    made: str = sky.jobs.utils.generate_managed_job_cluster_name(job.job_name, job.job_id)
    return job.current_cluster_name or made


def named_in(report: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The clusters of this name, oldest first."""
    ours = [cluster for cluster in report if cluster["name"] == name]
    return sorted(ours, key=lambda cluster: cluster["launched_at"] or 0)


def any_is_live(clusters: list[dict[str, Any]]) -> bool:
    """Whether SkyPilot still has one of them."""
    return any(cluster["status"] is not None for cluster in clusters)


def all_spans(sky: Any, record: SkyRecord, clusters: Sequence[dict[str, Any]]) -> tuple[Span, ...]:
    """When they were billed, with the rates as far as known."""
    return tuple(
        priced(sky, span, record, cluster) for cluster in clusters for span in _spans(cluster)
    )


def _spans(cluster: dict[str, Any]) -> list[Span]:
    """When it was billed, as far as SkyPilot knows: it learns of an end a few seconds later."""
    intervals: list[tuple[float, float | None]] = cluster["usage_intervals"] or []
    gpus = gpus_of(getattr(cluster["resources"], "accelerators", None))
    return [
        Span(began=moment(began), ended=None if ended is None else moment(ended), gpus=gpus)
        for began, ended in intervals
    ]


def moment(seconds: float) -> datetime:
    """A time of SkyPilot's, in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
