"""Where a task runs: the port that every infra implements, and its values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from fintts_store.runs.fields import HourlyRate, Moment, Name
from fintts_store.runs.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime


class InstancePhase(StrEnum):
    """What an instance is doing."""

    PROVISIONING = "provisioning"
    SETUP = "setup"
    RUNNING = "running"
    RECOVERING = "recovering"
    """preempted; a replacement is sought"""
    TEARING_DOWN = "tearing-down"
    GONE = "gone"


class Span(Record):
    """When an instance was billed; `ended` is None while billing continues. Times are aware and
    UTC."""

    began: Moment
    ended: Moment | None
    gpus: Name | None = None
    """the GPUs it had, as in `--gpus`; None if the infra does not report them"""
    hourly_rate_usd: HourlyRate | None = None
    """the rate from the cloud's own price history; None if not asked for, or not known"""


@dataclass(frozen=True, slots=True)
class InstanceState:
    """One run's instance at one moment. Times are aware and UTC."""

    run: str
    phase: InstancePhase
    where: str
    """a folder, or the name of a cluster"""
    created_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    """the job's exit code; None while it runs, or if its end was not seen"""
    spans: tuple[Span, ...] = ()
    """for an instance that is replaced after a preemption: the spans of all its instances in turn,
    as far as the infra knows; `created_at` belongs to the newest"""
    message: str | None = None
    """why the infra gave up on it"""
    gpus: str | None = None
    """the GPUs it has, as in `--gpus`; None if the infra does not report them"""
    never_came: bool = False
    """whether the cloud itself says that the instance never existed"""

    @property
    def is_live(self) -> bool:
        """Whether it may still be billing."""
        return self.phase != InstancePhase.GONE


class Holder(StrEnum):
    """What holds an instance and can remove it."""

    FOLDER = "folder"
    CLUSTER = "cluster"
    MANAGED_JOB = "managed job"
    CLOUD = "instance"
    """only the cloud: SkyPilot does not know the instance"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something with our label that may be billing, from any machine or user.

    Times are aware and UTC.
    """

    run: str
    holder: Holder
    where: str
    """the holder's name for it"""
    infra: str
    """as far as known: aws/us-east-1"""
    created_at: datetime
    deadline_at: datetime | None = None
    """the deadline in the label, to the second; None if there is none"""
    instance_since: datetime | None = None
    """when the instance was created; None while a managed job waits for one"""
    is_cut_off: bool = False
    """whether its launch was cut off, so that nothing would end it, and no process continues the
    launch"""
    trouble: str | None = None
    """why nothing works on it although it may be billed, in the cloud's words; None if something
    may"""
    name: str | None = None
    """its name in the cloud's console, if `where` is not that"""


@dataclass(frozen=True, slots=True)
class Census:
    """All live instances, and the sources that did not answer."""

    sightings: tuple[Sighting, ...]
    unanswered: tuple[str, ...] = ()
    """one sentence per source; there may be more instances there"""
    remarks: tuple[str, ...] = ()
    """clouds whose own list was not read, although SkyPilot's list was"""


@dataclass(frozen=True, slots=True)
class Removed:
    """What `down` found."""

    was_there: bool
    """whether there was an instance that this machine did not know to be gone"""
    remarks: tuple[str, ...] = ()
    """one sentence each: which file of this machine is damaged, what else has the run's name"""


NO_SECRETS: Mapping[str, str] = MappingProxyType({})


class Infra(Protocol):
    """Runs rendered tasks, one instance per run."""

    @property
    def name(self) -> str:
        """The name, as in `--infra`."""
        ...

    def check(self, task_yaml: str) -> None:
        """Checks that this machine can request such an instance, before anything is done for it.

        Raises CloudError: no cloud is enabled, or none offers such an instance at that rate;
        UsageProblem: there is no cloud of that name.
        """
        ...

    def launch(self, run: str, task_yaml: str, secrets: Mapping[str, str] = NO_SECRETS) -> None:
        """Returns once the instance is accepted and lives on without this process.

        `secrets` are added to the environment of set-up and job; the infra writes them nowhere.
        Raises CloudError: the instance could not be created, or the run already has a live
        instance, which stays as it is. If this call raises, nothing that it started is left.
        """
        ...

    def state(self, run: str) -> InstanceState | None:
        """The run's instance as the infra sees it now; None if the run never had one here."""
        ...

    def instances(self) -> list[InstanceState]:
        """All instances known here, including those that are gone, in order of creation."""
        ...

    def logs(self, run: str, *, follow: bool) -> Iterator[str]:
        """The lines of the job's output, also after the instance is gone.

        With `follow`, continues until the job ends. Raises CloudError: there is no such run.
        """
        ...

    def down(self, run: str, *, by_name: bool = False) -> Removed:
        """Removes the instance and returns once it is gone; a missing one counts as gone.

        If this machine's record is damaged, removes whatever has the run's name; with `by_name`,
        also if there is no record. Raises CloudError: it could not be removed, and may be billing.
        """
        ...

    def census(self) -> Census:
        """All live instances with our label, whether this machine knows them or not.

        The census lists the sources that did not answer.
        """
        ...

    def remove(self, sighting: Sighting) -> None:
        """Removes what a census saw and returns once it is gone.

        Raises CloudError: it could not be removed, and may be billing.
        """
        ...
