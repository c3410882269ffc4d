"""What a cloud says before it takes a spot instance away, asked of its metadata service.

AWS says it two minutes before and sends no signal, GCP and Azure say it half a minute before. All
of them answer at one address that no packet leaves the machine's host for; which of them it is, is
found out once. A service that says nothing, or nonsense, is no reason to end a run.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ADDRESS = "http://169.254.169.254"
"""of the metadata service of each of the three; a name would have to be resolved first"""
AWS_ADDRESS = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
"""environment variable that gives AWS's own tools another address"""
LOOK_EVERY_SECONDS = 5.0
"""as AWS advises"""
TIMEOUT_SECONDS = 2.0
ROUNDS = 3
"""in which each service is asked whether it is there, before none of them is"""
HALF_A_MINUTE = timedelta(seconds=30)
"""what GCP and Azure promise"""
MOST_BYTES = 1 << 16
TOKEN_SECONDS = 21600
"""the longest that AWS allows"""
AZURE_NAME = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
AZURE_EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
GCP_PREEMPTED = "/computeMetadata/v1/instance/preempted"
AWS_TOKEN, AWS_ACTION = "/latest/api/token", "/latest/meta-data/spot/instance-action"
OK, UNAUTHORIZED = 200, 401


@dataclass(frozen=True, slots=True)
class Notice:
    """The cloud will take the instance away; None: at a time that it does not say."""

    ends_at: datetime | None

    def __str__(self) -> str:
        """`the spot instance is being taken away at 12:03:20 UTC`"""
        when = "" if self.ends_at is None else f" at {self.ends_at.astimezone(UTC):%H:%M:%S} UTC"
        return f"the spot instance is being taken away{when}"


class MetadataService(Protocol):
    """Of one cloud."""

    def is_here(self) -> bool:
        """Whether this machine is one of that cloud's, as far as the service answers."""
        ...

    def notice(self, now: datetime) -> Notice | None:
        """What it announces; None also when it does not answer, or nothing that can be read."""
        ...


class Watch:
    """Looks every few seconds from a thread of its own, until there is a notice."""

    def __init__(
        self,
        heed: Callable[[Notice], None],
        services: Sequence[MetadataService],
        every_seconds: float,
    ) -> None:
        """`heed` is called from the thread, once."""
        self._heed, self._services = heed, services
        self._every_seconds = every_seconds
        self._ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="spot notice", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self.thread.start()

    def end(self) -> None:
        """Ends the looking, at the latest when the service has answered or has not."""
        self._ended.set()

    def _watch(self) -> None:
        service = self._found()
        while service is not None and not self._ended.is_set():
            notice = service.notice(datetime.now(UTC))
            if notice is not None:
                self._heed(notice)
                return
            self._ended.wait(self._every_seconds)

    def _found(self) -> MetadataService | None:
        """The service that answers as its cloud's; it is asked on then, also when it falters."""
        for _ in range(ROUNDS):
            for service in self._services:
                if service.is_here():
                    return service
            if self._ended.wait(self._every_seconds):
                break
        return None


def metadata_services(environment: Mapping[str, str] = os.environ) -> tuple[MetadataService, ...]:
    """Of all clouds whose notices are known, the one with the longest first."""
    return Aws(environment.get(AWS_ADDRESS) or ADDRESS), Azure(), Gcp()


class Aws:
    """EC2's, by the second version of its protocol: a request shows a token, from a PUT."""

    def __init__(self, address: str = ADDRESS) -> None:
        self._address = address.rstrip("/")
        self._token = ""

    def is_here(self) -> bool:
        """Whether it gives out a token."""
        wanted = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        answer = ask(self._address + AWS_TOKEN, wanted, method="PUT")
        self._token = answer.text.strip() if answer.status == OK else ""
        return bool(self._token)

    def notice(self, now: datetime) -> Notice | None:
        """404 as long as all is well, then `{"action": "terminate", "time": …}`; to be stopped or
        hibernated ends a run as well."""
        answer = self._ask()
        if answer.status == UNAUTHORIZED and self.is_here():  # the token was too old
            answer = self._ask()
        return aws_notice(answer)

    def _ask(self) -> Answer:
        return ask(self._address + AWS_ACTION, {"X-aws-ec2-metadata-token": self._token})


class Gcp:
    """Compute Engine's."""

    def __init__(self, address: str = ADDRESS) -> None:
        self._url = address.rstrip("/") + GCP_PREEMPTED

    def is_here(self) -> bool:
        """Whether it knows of preemptions."""
        return self._ask() in ("FALSE", "TRUE")

    def notice(self, now: datetime) -> Notice | None:
        """From then on there is half a minute, of which some may be over when it is seen."""
        return _half_a_minute_from(now) if self._ask() == "TRUE" else None

    def _ask(self) -> str:
        answer = ask(self._url, {"Metadata-Flavor": "Google"})
        return answer.text.strip() if answer.status == OK else ""


class Azure:
    """Azure's, which tells of the events of neighbours, too, and may take two minutes over the
    very first question about them; so it is known by another one."""

    def __init__(self, address: str = ADDRESS) -> None:
        self._address = address.rstrip("/")
        self._machine = ""

    def is_here(self) -> bool:
        """Whether it knows the machine's name."""
        answer = self._ask(AZURE_NAME)
        self._machine = answer.text.strip() if answer.status == OK else ""
        return bool(self._machine)

    def notice(self, now: datetime) -> Notice | None:
        """Of this machine's eviction."""
        return azure_notice(self._ask(AZURE_EVENTS), self._machine, now)

    def _ask(self, path: str) -> Answer:
        return ask(self._address + path, {"Metadata": "true"})


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a service; status 0: there was none in time."""

    status: int = 0
    text: str = ""


def ask(url: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
    """One request, past every proxy; never raises."""
    try:
        parts = urlsplit(url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, url.partition(parts.netloc)[2], headers=dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.read(MOST_BYTES).decode(errors="replace"))
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError):
        return Answer()


class _Action(BaseModel):
    action: str
    time: str = ""


class _Event(BaseModel):
    kind: str = Field(default="", alias="EventType")
    machines: list[str] = Field(default=[], alias="Resources")
    not_before: str = Field(default="", alias="NotBefore")


class _Events(BaseModel):
    events: list[_Event] = Field(default=[], alias="Events")


def aws_notice(answer: Answer) -> Notice | None:
    """What EC2's answer means."""
    if answer.status != OK:
        return None
    try:
        told = _Action.model_validate_json(answer.text)
    except ValidationError:
        return None
    try:
        ends_at = datetime.fromisoformat(told.time)
    except ValueError:
        return Notice(None)
    return Notice(ends_at if ends_at.tzinfo else ends_at.replace(tzinfo=UTC))


def azure_notice(answer: Answer, machine: str, now: datetime) -> Notice | None:
    """What Azure's answer means for the machine of this name."""
    if answer.status != OK:
        return None
    try:
        events = _Events.model_validate_json(answer.text).events
    except ValidationError:
        return None
    for event in events:
        named = [name.casefold() for name in event.machines]
        if event.kind == "Preempt" and (not named or machine.casefold() in named):
            return _azure_end(event.not_before, now)
    return None


def _azure_end(not_before: str, now: datetime) -> Notice:
    """At a moment of HTTP's form; without one the eviction has begun."""
    try:
        return Notice(parsedate_to_datetime(not_before).astimezone(UTC))
    except ValueError:
        return _half_a_minute_from(now)


def _half_a_minute_from(now: datetime) -> Notice:
    return Notice(now + HALF_A_MINUTE - timedelta(seconds=LOOK_EVERY_SECONDS))
