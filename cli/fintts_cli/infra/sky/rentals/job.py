"""A spot instance: a managed SkyPilot job, which rents a replacement after a preemption.

Its controller, a process next to SkyPilot's server, checks the instance every 15 seconds: it brings
the job back after a preemption, and removes the instance at the end. While it does not run, because
this machine sleeps, the job is not brought back; the instance still tears itself down ten minutes
after the job's end.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra import Holder, InstancePhase, Sighting
from fintts_cli.infra.labels import PREFIX, deadline_of
from fintts_cli.infra.sky.launch.provision_log import controller_log
from fintts_cli.infra.sky.rentals.controller import CONTROLLER_IS_OFF, refuse_hired_controller
from fintts_cli.infra.sky.rentals.job_clusters import (
    all_spans,
    any_is_live,
    cluster_of_job,
    clusters_named,
    clusters_of_job,
    job_in,
    moment,
    named_in,
    report_of,
)
from fintts_cli.infra.sky.rentals.record import place, run_of_job, short_job
from fintts_cli.infra.sky.rentals.waiting import Waiting
from fintts_cli.infra.sky.server.errors import first_sentence
from fintts_cli.infra.sky.server.queries import require_offer
from fintts_cli.infra.sky.server.requests import remove_cluster, take_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fintts_cli.infra.sky.rentals.record import SkyRecord

FIELDS = (
    "job_id",
    "submitted_at",
    "cloud",
    "region",
    "labels",
    "job_name",
    "status",
    "schedule_state",
    "current_cluster_name",
    "start_at",
    "failure_reason",
)
LAUNCHING = frozenset({"PENDING", "SUBMITTED", "STARTING"})
"""PENDING includes a job that waits to retry because there was no capacity."""
NOWHERE = "-"
QUEUED = frozenset({"INACTIVE", "WAITING"})
"""the states in SkyPilot's schedule of a job that no controller has begun"""
PHASES = {
    "RUNNING": InstancePhase.RUNNING,
    "RECOVERING": InstancePhase.RECOVERING,
    "CANCELLING": InstancePhase.TEARING_DOWN,
}
GONE_WITHIN_SECONDS = 600.0
"""A controller that was just restarted takes half a minute to see the request, and an instance that
is being created is completed first."""
POLL_SECONDS = 1.0


class ManagedJob:
    """A run's managed job; `sky` is the SDK. Passes on what SkyPilot raises."""

    is_ready_when_answered = False
    """SkyPilot answers as soon as the job is in its queue, where it may wait for ever."""

    def ask(self, sky: Any, record: SkyRecord, task: Any) -> Any:
        """SkyPilot's id of the request. An offer that does not exist is refused at once."""
        refuse_hired_controller(sky)
        require_offer(sky, task)
        return sky.jobs.launch(task, name=record.job)

    def waiting(self, sky: Any, record: SkyRecord) -> Waiting:
        """Where SkyPilot tries to get the job's first instance."""
        job = self._job(sky, record)
        if job is None:
            return Waiting()
        if job.start_at is not None:
            return Waiting(is_ready=True)
        if job.status.is_terminal():
            return Waiting(failure=_why(job))
        return Waiting(_place(job) or None, has_tried_all=_is_in_backoff(job))

    def said(self, sky: Any, record: SkyRecord) -> str:
        """What the job's controller wrote; empty if unknown."""
        job = self._job(sky, record)
        return "" if job is None else controller_log(sky, job.job_id)

    def look(self, sky: Any, record: SkyRecord) -> tuple[SkyRecord, InstancePhase] | None:
        """SkyPilot's answer; None if it was never asked for this job.

        Raises CloudError: SkyPilot has forgotten the job and its instances.
        """
        job = self._job(sky, record)
        if job is None:
            return _forgotten(sky, record) if record.was_seen else None
        cluster = cluster_of_job(sky, job)
        clusters = clusters_named(sky, cluster)
        seen = _seen(sky, record, job, cluster, clusters)
        if not _is_over(job):
            return seen, _phase(job)
        if any_is_live(clusters):
            return seen, InstancePhase.TEARING_DOWN
        ended_at = seen.spans[-1].ended if seen.spans else datetime.now(UTC)
        return seen.model_copy(update={"ended_at": ended_at}), InstancePhase.GONE

    def tail(self, sky: Any, record: SkyRecord, *, follow: bool) -> Iterable[str | None]:
        """The lines of the job; None when there is none for a while.

        Raises CloudError: there is no instance now, and the caller does not want to wait.
        """
        job = self._job(sky, record)
        if job is None or not (follow or job.status.value == "RUNNING"):
            raise CloudError(
                f"run {record.run} has no instance now", "--follow waits for its output"
            )
        lines: Iterable[str | None] = sky.jobs.tail_logs(
            job_id=job.job_id, follow=follow, preload_content=False
        )
        return lines

    def remove(self, sky: Any, record: SkyRecord) -> SkyRecord:
        """Cancels the job and returns once SkyPilot reports its cluster gone."""
        take_back(sky, of=str(record.job))
        job = self._job(sky, record)
        if job is None:
            return self._remove_forgotten(sky, record)
        if not job.status.is_terminal():
            sky.get(sky.jobs.cancel(job_ids=[job.job_id]))
        self._await_controller(sky, record)
        found = self.look(sky, record)
        if found is not None and found[1] != InstancePhase.GONE:
            remove_cluster(sky, found[0].cluster)  # the controller could not remove it
            found = self.look(sky, record)
        return record if found is None else found[0]

    @staticmethod
    def _remove_forgotten(sky: Any, record: SkyRecord) -> SkyRecord:
        """Removes the instances of a job whose controller is gone; SkyPilot may still know them."""
        found = clusters_of_job(sky, str(record.job))
        for cluster in found:
            if cluster["status"] is not None:
                remove_cluster(sky, cluster["name"])
        if found or not record.was_seen:
            return record
        return _forgotten(sky, record)[0]

    def _await_controller(self, sky: Any, record: SkyRecord) -> None:
        deadline = time.monotonic() + GONE_WITHIN_SECONDS
        while (job := self._job(sky, record)) is not None and not _is_over(job):
            if time.monotonic() > deadline:
                raise CloudError(f"the managed job {record.job} is still {job.status.value}")
            time.sleep(POLL_SECONDS)

    @staticmethod
    def _job(sky: Any, record: SkyRecord) -> Any:
        """SkyPilot's entry, which it keeps for ever; None if it lists no such job."""
        jobs = jobs_named(sky, str(record.job)) or []
        return next((job for job in jobs if job.job_name == record.job), None)


def jobs_named(sky: Any, name: str) -> list[Any] | None:
    """SkyPilot's managed jobs whose name contains this; None if no controller exists.

    Without consolidation mode, SkyPilot's default, a rented instance is the controller. It does not
    exist before the first job, and stops ten minutes after the last one: both mean no jobs.
    """
    try:
        jobs, *_ = sky.get(sky.jobs.queue_v2(refresh=False, fields=FIELDS, name_match=name))
    except sky.exceptions.ClusterNotUpError as error:
        status = error.cluster_status
        if getattr(status, "value", status) in CONTROLLER_IS_OFF:
            return None
        raise  # the controller exists but does not answer
    return list(jobs)


def live_jobs(sky: Any, records: Sequence[SkyRecord] = ()) -> list[Sighting]:
    """Our jobs that are not over, and those that are over but still have an instance.

    `records` are this machine's: without its controller, a job is known by its clusters' names
    alone, which SkyPilot shortens.
    """
    jobs = jobs_named(sky, PREFIX)
    if jobs is None:
        return _left_by_jobs(sky, records)
    ours = [(run, job) for job in jobs if (run := run_of_job(job.job_name)) is not None]
    report = report_of(sky) if ours else []
    return [
        _sighting(run, job, clusters)
        for run, job in ours
        for clusters in [named_in(report, cluster_of_job(sky, job))]
        if not _is_over(job) or any_is_live(clusters)
    ]


def _left_by_jobs(sky: Any, records: Sequence[SkyRecord]) -> list[Sighting]:
    """Instances of jobs that lost their controller because consolidation mode was turned off."""
    runs = {short_job(sky, one.job): one.run for one in records if one.job is not None}
    return [
        Sighting(
            run=run,
            holder=Holder.CLUSTER,
            where=cluster["name"],
            infra=place(str(cluster.get("cloud") or ""), cluster.get("region")),
            created_at=moment(cluster["launched_at"] or 0),
            instance_since=moment(cluster["launched_at"] or 0),
        )
        for cluster in report_of(sky)
        if cluster["status"] is not None
        and (job := job_in(cluster["name"]))
        and (run := runs.get(job) or run_of_job(job)) is not None
    ]


def _sighting(run: str, job: Any, clusters: list[dict[str, Any]]) -> Sighting:
    live = [each for each in clusters if each["status"] is not None]
    return Sighting(
        run=run,
        holder=Holder.MANAGED_JOB,
        where=job.job_name,
        infra=_place(job),
        created_at=moment(job.submitted_at),
        instance_since=moment(live[-1]["launched_at"] or 0) if live else None,
        deadline_at=deadline_of(job.labels),
    )


def _is_in_backoff(job: Any) -> bool:
    """Whether its controller waits before it asks each place again. A job is also pending for a
    moment between the two, and before it is asked for the first time."""
    return job.status.value == "PENDING" and job.schedule_state not in QUEUED


def _why(job: Any) -> str:
    """Why a job ended before it had an instance."""
    if job.status.value == "CANCELLED":
        return "another command cancelled the request"
    return first_sentence(job.failure_reason or "") or f"SkyPilot says {job.status.value}"


def _place(job: Any) -> str:
    """As in `--infra`; empty while it has no instance. SkyPilot writes - for what it does not
    know."""
    cloud, region = (None if part == NOWHERE else part for part in (job.cloud, job.region))
    return place(cloud, region)


def _forgotten(sky: Any, record: SkyRecord) -> tuple[SkyRecord, InstancePhase]:
    """What is known about a job that SkyPilot listed once but no longer lists."""
    clusters = clusters_of_job(sky, str(record.job))
    if not clusters:
        raise CloudError(
            f"SkyPilot has forgotten the managed job {record.job}",
            f"look for {record.cluster} in the cloud's console",
        )
    spans = all_spans(sky, record, clusters)
    seen = record.model_copy(update={"cluster": clusters[-1]["name"], "spans": spans})
    if any_is_live(clusters):
        return seen, InstancePhase.RUNNING
    ended_at = spans[-1].ended if spans else None
    return seen.model_copy(update={"ended_at": ended_at}), InstancePhase.GONE


def _is_over(job: Any) -> bool:
    """Whether its controller has finished; a job that never started may have no controller."""
    return bool(job.schedule_state == "DONE" or job.status.value == "CANCELLED")


def _phase(job: Any) -> InstancePhase:
    if job.status.value not in LAUNCHING:
        return PHASES.get(job.status.value, InstancePhase.TEARING_DOWN)
    return InstancePhase.PROVISIONING if job.start_at is None else InstancePhase.RECOVERING


def _seen(
    sky: Any, record: SkyRecord, job: Any, cluster: str, clusters: list[dict[str, Any]]
) -> SkyRecord:
    spans = all_spans(sky, record, clusters)
    fields: dict[str, object] = {
        "was_seen": True,
        "cluster": cluster,
        "cloud": next((str(one["cloud"]).lower() for one in clusters if one.get("cloud")), None)
        or record.cloud,
        "created_at": spans[-1].began if spans else record.created_at,
        "spans": spans,
    }
    if job.status.value == "SUCCEEDED":
        fields["exit_code"] = 0
    elif job.status.value.startswith("FAILED"):
        fields |= {"exit_code": 1, "message": first_sentence(job.failure_reason or "")}
    return record.model_copy(update=fields)
