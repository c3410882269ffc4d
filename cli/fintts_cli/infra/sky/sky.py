"""SkyPilot as an infra: a cluster or a managed job for each run.

What this says about an instance comes from SkyPilot's server, which asks the clouds.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra import (
    NO_SECRETS,
    Census,
    Holder,
    InstancePhase,
    InstanceState,
    Removed,
    Sighting,
)
from fintts_cli.infra.sky.aws import AWS, never_came
from fintts_cli.infra.sky.ending.power_off import terminate_when_off
from fintts_cli.infra.sky.launch.asked_task import read_task
from fintts_cli.infra.sky.launch.launch_patience import launch_patiently
from fintts_cli.infra.sky.launch.launching import WORKDIR, ready_to_launch
from fintts_cli.infra.sky.launch.refusals import is_refused_everywhere, refusal
from fintts_cli.infra.sky.prices.catalog import SkyCatalog
from fintts_cli.infra.sky.rentals.census import take_census
from fintts_cli.infra.sky.rentals.cluster import Cluster
from fintts_cli.infra.sky.rentals.job import ManagedJob
from fintts_cli.infra.sky.rentals.record import (
    RECORD_FILE,
    SkyRecord,
    as_state,
    cluster_of,
    job_of,
    read_record,
    write_record,
)
from fintts_cli.infra.sky.rentals.rental import remove, remove_sighting, rental_of
from fintts_cli.infra.sky.sellers import trouble_of
from fintts_cli.infra.sky.sellers.desk import SELLERS, still_listed
from fintts_cli.infra.sky.server.requests import own_launches
from fintts_cli.infra.sky.server.session import (
    ANSI,
    in_a_sentence,
    refuse_unknown_cloud,
    require_offer,
    sky_session,
)
from fintts_cli.infra.this_machine import fate_here, note_process
from fintts_cli.places import cloud_of
from fintts_cli.state_folder import SKY_FOLDER, SKY_LOG
from fintts_store.disk.durable import write_file
from fintts_store.disk.reading import read_end
from fintts_store.errors import InvalidRecord, StoreError
from fintts_store.layout import check_run_name
from fintts_store.runs.limits import LOG_BYTES
from fintts_store.runs.noted_process import Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fintts_cli.infra.sky.launch.asked_task import AskedTask
    from fintts_cli.prices.source import OfferSource

    Session = Callable[[Path], AbstractContextManager[Any]]
    """opens SkyPilot's SDK; its output goes to that file"""

TASK_FILE = "task.yaml"
APPEARS_WITHIN = timedelta(minutes=10)
"""SkyPilot lists a cluster a few seconds after the request; this is how long a request that may
still be in progress is trusted to produce one."""
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
        self._root = state_folder / SKY_FOLDER
        self._answers: dict[str, tuple[float, InstanceState]] = {}

    @property
    def name(self) -> str:
        return self._name

    def check(self, task_yaml: str) -> None:
        log = self._root / SKY_LOG
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
        write_file(self._folder(run) / TASK_FILE, task_yaml.encode())
        write_record(self._folder(run), record)
        self._answers.pop(run, None)  # the answer was about an earlier instance
        said_before = _size(self._log(run))
        try:
            self._launch(record, asked, secrets)
        except BaseException as error:
            said = _said(self._log(run), said_before)
            self.down(run)
            self._note_whether_it_came(record, is_refused=is_refused_everywhere(said))
            if isinstance(error, Exception):
                raise refusal(error, said) or in_a_sentence(error, self._log(run)) from error
            raise
        self._answers.pop(run, None)
        write_record(self._folder(run), record.model_copy(update={"was_seen": True}))

    def _note_whether_it_came(self, record: SkyRecord, *, is_refused: bool) -> None:
        """Records that no instance ever came. AWS can tell this about one that is gone. Of a
        seller without zones it is known if each place refused; otherwise one is billed."""
        folder, cloud = self._folder(record.run), cloud_of(self._name)
        with suppress(Exception), self._sky(record.run) as sky:  # either may fail in any way
            is_none = is_refused and cloud in {seller.cloud for seller in SELLERS}
            if cloud == AWS and record.deadline_at is not None:
                is_none = never_came(sky, record.run, record.deadline_at)
            last = read_record(folder)
            if last is not None and is_none:
                write_record(folder, last.model_copy(update={"never_came": True}))

    def _launch(self, record: SkyRecord, asked: AskedTask, secrets: Mapping[str, str]) -> None:
        """Returns once the run no longer needs this process."""
        folder, log = self._folder(record.run), self._log(record.run)
        with (
            self._sky(record.run) as sky,
            ready_to_launch(sky, asked, secrets, folder, self._name) as task,
        ):
            if record.job is not None:
                ManagedJob().launch(sky, record, task)
                return
            take_back, note = partial(remove, sky, record), partial(_note, log)
            limit = asked.patience_seconds
            launch_patiently(sky, task, record.cluster, limit, take_back, self._offers, note)
            terminate_when_off(sky, record.cluster)  # AWS terminates a spot instance by itself

    def state(self, run: str) -> InstanceState | None:
        kept = self._answers.get(run)
        if kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS:
            return kept[1]
        record = self._read(run)
        if record is None:
            return None
        state = self._state(record)
        self._answers[run] = (time.monotonic(), state)
        return state

    def _state(self, record: SkyRecord) -> InstanceState:
        if record.is_gone:
            return as_state(record, InstancePhase.GONE)
        with self._sky(record.run) as sky:
            try:
                may_come = _may_come(sky, record)  # first: what comes in between is then seen
                found = rental_of(record).look(sky, record)
            except Exception as error:
                raise CloudError(
                    f"SkyPilot cannot say whether {record.cluster} is there: "
                    f"{in_a_sentence(error, self._log(record.run)).message}",
                    f"all it said is in {self._log(record.run)}; the instance ends by itself",
                ) from error
        if found is None and may_come:
            return as_state(record, InstancePhase.PROVISIONING)
        seen, phase = found or (record, InstancePhase.GONE)
        if (left := self._left(seen, phase)) is not None:
            return left
        if phase == InstancePhase.GONE:
            seen = self._gone(seen, seen.ended_at)
        elif seen != record:
            write_record(self._folder(record.run), seen)
        return as_state(seen, phase)

    def _left(self, record: SkyRecord, phase: InstancePhase) -> InstanceState | None:
        """The state of an instance that SkyPilot calls gone and its seller still lists, or on which
        nothing works. None if SkyPilot's word stands.

        Raises CloudError: SkyPilot calls it gone, and the seller does not answer.
        """
        with self._sky(record.run) as sky:
            try:
                left = still_listed(sky, record)
            except Exception as error:  # the seller or the network may fail in any way
                if phase != InstancePhase.GONE:
                    return None  # SkyPilot at least says that it is there
                raise CloudError(
                    f"SkyPilot no longer knows {record.cluster}, but it may be billing: "
                    f"{in_a_sentence(error, self._log(record.run)).message}",
                    f"run it again; `fintts cloud down {record.run}` removes what is left",
                ) from error
        troubles = [one.sentence for one in left if trouble_of(one.seller, one.listed)]
        if not left or (phase != InstancePhase.GONE and not troubles):
            return None
        seen = record.model_copy(update={"message": "; ".join(troubles or [left[0].sentence])})
        is_kept = record.job is not None and phase != InstancePhase.GONE
        return as_state(seen, phase if is_kept else InstancePhase.TEARING_DOWN)

    def instances(self) -> list[InstanceState]:
        states = [state for folder in self._folders() if (state := self.state(folder.name))]
        return sorted(states, key=lambda state: state.created_at)

    def logs(self, run: str, *, follow: bool) -> Iterator[str]:
        record = self._read(run)
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
            raise in_a_sentence(error, self._log(run)) from error

    def down(self, run: str, *, by_name: bool = False) -> Removed:
        try:
            record = read_record(self._folder(run))
        except InvalidRecord as error:
            return self._down_by_name(run, error.message)
        if record is None and by_name and self._root.is_dir():
            return self._down_by_name(run)
        if record is None or record.is_gone:
            return Removed(was_there=False)
        with self._sky(run) as sky:
            try:
                last = remove(sky, record)
            except Exception as error:
                raise CloudError(
                    f"the cluster {record.cluster} could not be removed, and may be billing: "
                    f"{in_a_sentence(error, self._log(run)).message}",
                    f"try again; or remove it in the cloud's console, and see {self._log(run)}",
                ) from error
        self._answers.pop(run, None)
        self._gone(last, datetime.now(UTC))
        return Removed(was_there=True)

    def _down_by_name(self, run: str, *damage: str) -> Removed:
        """Removes by name, without a record. SkyPilot's clusters and jobs with the run's name
        belong to this machine. An instance that only a cloud lists may belong to another user, and
        is only named."""
        deadline_at = self._last_deadline(run)
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
        self._gone(named, datetime.now(UTC))
        others = (
            f"{one.infra} has the instance {one.where} under the label of run {run}, and SkyPilot "
            "here does not know it: `fintts cloud reap` says more"
            for one in ours
            if one not in held
        )
        return Removed(bool(held), (*damage, *others))

    def _last_deadline(self, run: str) -> datetime | None:
        """The deadline of this machine's last launch of the run, as far as its task can be read."""
        with suppress(Exception):  # may be any kind of error: the record next to it is damaged, too
            text = (self._folder(run) / TASK_FILE).read_text(encoding="utf-8")
            return read_task(text).deadline_at
        return None

    def census(self) -> Census:
        log = self._root / SKY_LOG
        try:
            with self._session(log) as sky:
                return take_census(sky, log, self._records())
        except (CloudError, StoreError) as error:  # there may be more than this machine knows
            return Census((), (error.message,))

    def _records(self) -> list[SkyRecord]:
        """This machine's records that can be read."""
        found: list[SkyRecord] = []
        for folder in self._folders():
            with suppress(InvalidRecord):
                found += [one for one in [read_record(folder)] if one is not None]
        return found

    def _folders(self) -> list[Path]:
        folders = sorted(self._root.iterdir()) if self._root.is_dir() else []
        return [folder for folder in folders if (folder / RECORD_FILE).is_file()]

    def remove(self, sighting: Sighting) -> None:
        log = self._root / SKY_LOG
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
        record = read_record(self._folder(sighting.run))
        if record is not None and sighting.where in (record.cluster, record.job):
            self._gone(record, record.ended_at or datetime.now(UTC))

    def _sky(self, run: str) -> AbstractContextManager[Any]:
        return self._session(self._log(run))

    def _gone(self, record: SkyRecord, ended_at: datetime | None) -> SkyRecord:
        gone = record.model_copy(update={"is_gone": True, "ended_at": ended_at})
        write_record(self._folder(record.run), gone)
        shutil.rmtree(self._folder(record.run) / WORKDIR, ignore_errors=True)
        return gone

    def _read(self, run: str) -> SkyRecord | None:
        """Raises CloudError: the record is damaged, so this machine does not know what it
        requested."""
        try:
            return read_record(self._folder(run))
        except InvalidRecord as error:
            raise CloudError(
                error.message, f"`fintts cloud down {run}` finds its instance by its name"
            ) from error

    def _folder(self, run: str) -> Path:
        return self._root / check_run_name(run)

    def _log(self, run: str) -> Path:
        return self._folder(run) / SKY_LOG


def _may_come(sky: Any, record: SkyRecord) -> bool:
    """Whether an instance may still come although SkyPilot knows none: a request is being made, or
    SkyPilot's server has not finished it."""
    fate = fate_here(record.asked_by) if record.asked_by else Fate.UNKNOWN
    latest = record.requested_at
    if fate == Fate.UNKNOWN:  # this server may not know requests to another machine's
        latest = record.deadline_at or latest
    if record.was_seen or datetime.now(UTC) - latest > APPEARS_WITHIN:
        return False
    if fate != Fate.ENDED:
        return True
    if record.job is not None:
        return bool(own_launches(sky, of=record.job))
    return bool(own_launches(sky, record.cluster, deadline_at=record.deadline_at))


def _note(log: Path, sentence: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(f"fintts: {sentence}\n")


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _said(log: Path, since: int) -> str:
    """This launch's part of the log, which grows with every launch and every tail of a run."""
    return ANSI.sub("", read_end(log, LOG_BYTES, since).decode(errors="replace"))
