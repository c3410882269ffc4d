"""SkyPilot as an infra: a cluster or a managed job for each run.

What this says about an instance comes from SkyPilot's server, which asks the clouds.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra import (
    NO_SECRETS,
    Census,
    Holder,
    InstanceState,
    Removed,
    Sighting,
)
from fintts_cli.infra.sky.ending.power_off import terminate_when_off
from fintts_cli.infra.sky.launch.asked_task import read_task
from fintts_cli.infra.sky.launch.failed_launch import FailedLaunch
from fintts_cli.infra.sky.launch.launch_patience import launch_patiently
from fintts_cli.infra.sky.launch.launching import kept_workdir, ready_to_launch
from fintts_cli.infra.sky.launch.refusals import refusal
from fintts_cli.infra.sky.prices.catalog import SkyCatalog
from fintts_cli.infra.sky.rentals.census import take_census
from fintts_cli.infra.sky.rentals.cluster import Cluster
from fintts_cli.infra.sky.rentals.folders import RunFolders
from fintts_cli.infra.sky.rentals.look import look
from fintts_cli.infra.sky.rentals.record import (
    SkyRecord,
    cluster_of,
    job_of,
)
from fintts_cli.infra.sky.rentals.rental import remove, remove_sighting, rental_of
from fintts_cli.infra.sky.server.errors import ANSI, in_a_sentence
from fintts_cli.infra.sky.server.queries import refuse_unknown_cloud, require_offer
from fintts_cli.infra.sky.server.session import sky_session
from fintts_cli.infra.this_machine import note_process
from fintts_cli.places import cloud_of
from fintts_store.errors import InvalidRecord, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fintts_cli.infra.sky.launch.asked_task import AskedTask
    from fintts_cli.infra.sky.server.session import Session
    from fintts_cli.prices.source import OfferSource

FRESH_SECONDS = 10.0
"""Asking SkyPilot and the cloud takes seconds: an answer is reused for this long."""
OF_JOB = re.compile(r"^\([^()]+, pid=\d+\) ", re.MULTILINE)
"""SkyPilot's prefix before each line of a job"""


class SkyInfra:
    """On-demand instances are clusters, spot instances belong to managed jobs. STATE/sky/RUN/ holds
    the task, SkyPilot's output, and when the instance came and went."""

    def __init__(
        self,
        name: str,
        state_folder: Path,
        session: Session = sky_session,
        offers: OfferSource | None = None,
    ) -> None:
        self._name, self._session = name, session
        self._offers = offers or SkyCatalog()
        self._folders = RunFolders(state_folder)
        self._answers: dict[str, tuple[float, InstanceState]] = {}

    @property
    def name(self) -> str:
        return self._name

    def check(self, task_yaml: str) -> None:
        log = self._folders.log
        with self._session(log) as sky:
            refuse_unknown_cloud(sky, cloud_of(self._name))
            try:
                task = sky.Task.from_yaml_str(task_yaml)
                task.workdir = None  # the workdir does not exist yet
                require_offer(sky, task)
            except Exception as error:
                raise in_a_sentence(error, log) from error

    def launch(self, run: str, task_yaml: str, secrets: Mapping[str, str] = NO_SECRETS) -> None:
        state = self.state(run)
        if state is not None and state.is_live:
            raise CloudError(
                f"run {run} has a live instance, the cluster {state.where}",
                f"`fintts cloud stop {run}` ends it, or choose another --name",
            )
        now, asked = datetime.now(UTC), read_task(task_yaml)
        job = job_of(run, now) if asked.is_spot else None
        record = SkyRecord(
            run=run,
            cluster=job or cluster_of(run, asked.deadline_at),
            job=job,
            requested_at=now,
            deadline_at=asked.deadline_at,
            cloud=cloud_of(self._name) or None,
            asked_by=note_process(os.getpid()),
        )
        self._folders.begin(record, task_yaml)
        self._answers.pop(run, None)  # the answer was about an earlier instance
        said_before = self._folders.log_size(run)
        try:
            record = self._launch(record, asked, secrets)
        except BaseException as error:
            failed = FailedLaunch(run, self._folders, rental_of(record), partial(self._sky, run))
            try:
                said = failed.said(error, said_before)
            finally:
                self.down(run)
            failed.note_whether_it_came(cloud_of(self._name), said)
            if isinstance(error, Exception):
                raise refusal(error, said) or in_a_sentence(
                    error, self._folders.log_of(run)
                ) from error
            raise
        self._answers.pop(run, None)
        self._folders.write(record.model_copy(update={"was_seen": True}))

    def _launch(self, record: SkyRecord, asked: AskedTask, secrets: Mapping[str, str]) -> SkyRecord:
        """Returns once the run no longer needs this process: the record of its instance."""
        run = record.run
        with (
            self._sky(run) as sky,
            ready_to_launch(sky, asked, secrets, self._folders.folder(run), self._name) as task,
        ):
            last = launch_patiently(
                sky,
                task,
                rental_of(record),
                record,
                asked.patience_seconds,
                self._offers,
                take_back=partial(remove, sky),
                renew=partial(self._renew, asked),
                note=partial(self._folders.note, run),
            )
            if last.job is None:  # AWS terminates a spot instance by itself
                terminate_when_off(sky, last.cluster)
            return last

    def _renew(self, asked: AskedTask, record: SkyRecord) -> SkyRecord:
        """The record of the next request of this launch, written before it is made. SkyPilot keeps
        a managed job for ever, so the next one has another name. A command that saw the last one
        gone has removed its workdir."""
        if record.job is None:
            return record
        kept_workdir(asked.workdir, self._folders.folder(record.run))
        job = job_of(record.run, datetime.now(UTC))
        last = record.model_copy(update={"job": job, "cluster": job, "was_seen": False})
        self._folders.write(last)
        return last

    def state(self, run: str) -> InstanceState | None:
        kept = self._answers.get(run)
        if kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS:
            return kept[1]
        record = self._folders.read(run)
        if record is None:
            return None
        state = look(self._session, self._folders, record, rental_of(record).look)
        self._answers[run] = (time.monotonic(), state)
        return state

    def instances(self) -> list[InstanceState]:
        states = [state for run in self._folders.runs() if (state := self.state(run))]
        return sorted(states, key=lambda state: state.created_at)

    def logs(self, run: str, *, follow: bool) -> Iterator[str]:
        record = self._folders.read(run)
        if record is None:
            raise CloudError(f"this machine has asked for no instance of run {run}")
        state = self.state(run)
        if state is None or not state.is_live:
            raise CloudError(
                f"the instance of run {run} is gone, and its log with it",
                f"`fintts cloud report {run}` tells what the run left in the store",
            )
        try:
            with self._sky(run) as sky:
                lines = rental_of(record).tail(sky, record, follow=follow)
            for line in lines:
                if line is not None:
                    yield OF_JOB.sub("", ANSI.sub("", line))
        except Exception as error:  # SkyPilot or the network may fail in any way
            raise in_a_sentence(error, self._folders.log_of(run)) from error

    def down(self, run: str, *, by_name: bool = False) -> Removed:
        try:
            record = self._folders.find(run)
        except InvalidRecord as error:
            return self._down_by_name(run, error.message)
        if record is None and by_name and self._folders.root.is_dir():
            return self._down_by_name(run)
        if record is None or record.is_gone:
            return Removed(was_there=False)
        log = self._folders.log_of(run)
        with self._session(log) as sky:
            try:
                last = remove(sky, record)
            except Exception as error:
                raise CloudError(
                    f"the cluster {record.cluster} could not be removed, and may be billing: "
                    f"{in_a_sentence(error, log).message}",
                    f"try again; or remove it in the cloud's console, and see {log}",
                ) from error
        self._answers.pop(run, None)
        self._folders.write_gone(last, datetime.now(UTC))
        return Removed(was_there=True)

    def _down_by_name(self, run: str, *damage: str) -> Removed:
        """Removes by name, without a record. SkyPilot's clusters and jobs with the run's name
        belong to this machine. An instance that only a cloud lists may belong to another user, and
        is only named."""
        deadline_at = self._folders.last_deadline(run)
        named = SkyRecord(
            run=run,
            cluster=cluster_of(run, deadline_at),
            requested_at=datetime.now(UTC),
            deadline_at=deadline_at,
        )
        with self._sky(run) as sky, suppress(Exception):  # if it exists, the census sees it
            Cluster().remove(sky, named)  # this also cancels a request for it
        census = self.census()
        ours = [one for one in census.sightings if one.run == run]
        held = [
            one
            for one in ours
            if one.holder != Holder.CLOUD
            and (
                None in (one.deadline_at, named.deadline_at) or one.deadline_at == named.deadline_at
            )
        ]
        for one in held:
            self.remove(one)
        if census.unanswered:
            raise CloudError(
                f"an instance of run {run} may be billing: {'; '.join(census.unanswered)}",
                "run it again; or look into the cloud's console",
            )
        self._folders.write_gone(named, datetime.now(UTC))
        others = (
            f"{one.infra} has the instance {one.where} under the label of run {run}, and SkyPilot "
            "here does not know it: `fintts cloud reap` says more"
            for one in ours
            if one not in held
        )
        return Removed(bool(held), (*damage, *others))

    def census(self) -> Census:
        log = self._folders.log
        try:
            with self._session(log) as sky:
                return take_census(sky, log, self._folders.records())
        except (CloudError, StoreError) as error:  # there may be more than this machine knows
            return Census((), (error.message,))

    def remove(self, sighting: Sighting) -> None:
        log = self._folders.log
        with self._session(log) as sky:
            try:
                remove_sighting(sky, sighting)
            except Exception as error:
                raise CloudError(
                    f"the {sighting.holder} {sighting.where} could not be removed, and may be "
                    f"billing: {in_a_sentence(error, log).message}",
                    f"try again; or remove it in the cloud's console, and see {log}",
                ) from error
        self._answers.pop(sighting.run, None)
        with suppress(InvalidRecord):  # the instance is gone, whatever this machine recorded
            self._note_removed(sighting)

    def _note_removed(self, sighting: Sighting) -> None:
        record = self._folders.find(sighting.run)
        if record is not None and sighting.where in (record.cluster, record.job):
            self._folders.write_gone(record, record.ended_at or datetime.now(UTC))

    def _sky(self, run: str) -> AbstractContextManager[Any]:
        return self._session(self._folders.log_of(run))
