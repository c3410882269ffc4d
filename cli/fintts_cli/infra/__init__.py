"""Where a task runs: the port that every infra implements, and its values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from fintts_store.runs.fields import HourlyRate, Moment, Name
from fintts_store.runs.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime


class InstancePhase(StrEnum):
    """What an instance is doing."""

    PROVISIONING = "provisioning"
    SETUP = "setup"
    RUNNING = "running"
    RECOVERING = "recovering"
    """it was taken away, and another one is sought"""
    TEARING_DOWN = "tearing-down"
    GONE = "gone"


class Span(Record):
    """When an instance was billed; `ended` is None while it is. Times are aware and UTC."""

    began: Moment
    ended: Moment | None
    gpus: Name | None = None
    """that it had, as `--gpus` has it; None where the infra does not tell"""
    hourly_rate_usd: HourlyRate | None = None
    """what it cost by the cloud's own price history; None where nobody asked, or nobody told"""


@dataclass(frozen=True, slots=True)
class InstanceState:
    """One run's instance at one moment. Times are aware and UTC."""

    run: str
    phase: InstancePhase
    where: str
    """a folder, or a cluster's name"""
    created_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    """of the job; None while it runs, or when nobody saw it end"""
    spans: tuple[Span, ...] = ()
    """of one that is replaced when it is taken away: all that came one after the other, as far as
    the infra knows; `created_at` is the newest one's"""
    message: str | None = None
    """why the infra gave it up"""
    gpus: str | None = None
    """that it has, as `--gpus` has it; None where the infra does not tell"""
    never_came: bool = False
    """whether the cloud itself says that there never was an instance"""

    @property
    def is_live(self) -> bool:
        """Whether it may still be billing."""
        return self.phase != InstancePhase.GONE


class Holder(StrEnum):
    """What holds an instance, and is asked to remove it."""

    FOLDER = "folder"
    CLUSTER = "cluster"
    MANAGED_JOB = "managed job"
    CLOUD = "instance"
    """the cloud alone: SkyPilot knows nothing of it"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something that bears our label and may be billing, whoever asked for it.

    Times are aware and UTC.
    """

    run: str
    holder: Holder
    where: str
    """the holder's name for it"""
    infra: str
    """as far as is known: aws/us-east-1"""
    created_at: datetime
    deadline_at: datetime | None = None
    """as the label says, to the second; None where there is none"""
    instance_since: datetime | None = None
    """since when there is an instance; None while a managed job waits for one"""
    is_cut_off: bool = False
    """whether its launch was, so that nothing would end it, and nobody goes on with it"""


@dataclass(frozen=True, slots=True)
class Census:
    """All that lives, and who could not be asked."""

    sightings: tuple[Sighting, ...]
    unanswered: tuple[str, ...] = ()
    """a sentence each: there may be more"""
    remarks: tuple[str, ...] = ()
    """whose own list is not read, although SkyPilot's is"""


@dataclass(frozen=True, slots=True)
class Removed:
    """What `down` found."""

    was_there: bool
    """whether there was an instance that nobody here knew to be gone"""
    remarks: tuple[str, ...] = ()
    """a sentence each: which file of this machine is damaged, what else bears the run's name"""


NO_SECRETS: Mapping[str, str] = MappingProxyType({})


class Infra(Protocol):
    """Takes rendered tasks and runs them, one instance a run."""

    @property
    def name(self) -> str:
        """As `--infra` has it."""
        ...

    def check(self, task_yaml: str) -> None:
        """Whether such an instance can be asked for from here, before anything is done for it.

        Raises CloudError: no cloud may be used, or none has such an instance at that rate;
        UsageProblem: there is no cloud of that name.
        """
        ...

    def launch(self, run: str, task_yaml: str, secrets: Mapping[str, str] = NO_SECRETS) -> None:
        """Returns when the instance is accepted and lives on without this process.

        `secrets` join the environment of set-up and job; nothing that the infra writes holds them.
        Raises CloudError: it could not be created, or the run has a live instance already, which
        is left as it is. Whatever is raised, nothing lives that this call began.
        """
        ...

    def state(self, run: str) -> InstanceState | None:
        """The run's instance as the infra itself sees it now; None if it never had one here."""
        ...

    def instances(self) -> list[InstanceState]:
        """All that are known here, those that are gone too, in order of creation."""
        ...

    def logs(self, run: str, *, follow: bool) -> Iterator[str]:
        """The lines of the job's output, also when the instance is gone.

        With `follow` it goes on until the job is over. Raises CloudError: there is no such run.
        """
        ...

    def down(self, run: str, *, by_name: bool = False) -> Removed:
        """Removes the instance and returns when it is gone; one that is not there counts as gone.

        Where this machine's record of it is damaged, what bears the run's name is removed; with
        `by_name` also where there is no record. Raises CloudError: it could not be removed, and may
        be billing.
        """
        ...

    def census(self) -> Census:
        """All that lives there under our label, whether this machine remembers it or not.

        What cannot be asked is part of the answer.
        """
        ...

    def remove(self, sighting: Sighting) -> None:
        """Removes what a census saw, and returns when it is gone.

        Raises CloudError: it could not be removed, and may be billing.
        """
        ...
