"""Asks a cloud's metadata service whether it is about to take a spot instance away.

AWS gives two minutes' notice and sends no signal; GCP and Azure give half a minute. All three
answer at one address, and no packet to it leaves the machine's host; which cloud answers is found
out once. A service that is silent, or answers nonsense, does not end a run.
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
"""of the metadata service of all three clouds; a host name would need to be resolved first"""
AWS_ADDRESS = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
"""environment variable that points AWS's own tools to another address"""
LOOK_EVERY_SECONDS = 5.0
"""as AWS advises"""
TIMEOUT_SECONDS = 2.0
ROUNDS = 3
"""how often to look for each service before concluding that there is none"""
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
class SpotNotice:
    """The cloud will take the instance away; None: the cloud gives no time."""

    ends_at: datetime | None

    def __str__(self) -> str:
        """`the spot instance is being taken away at 12:03:20 UTC`"""
        when = "" if self.ends_at is None else f" at {self.ends_at.astimezone(UTC):%H:%M:%S} UTC"
        return f"the spot instance is being taken away{when}"


class MetadataService(Protocol):
    """The metadata service of one cloud."""

    def is_here(self) -> bool:
        """Whether this machine belongs to that cloud; False if the service does not answer."""
        ...

    def notice(self, now: datetime) -> SpotNotice | None:
        """The announced notice; None also if the service does not answer readably."""
        ...


class SpotNoticePoller:
    """Polls every few seconds in a thread of its own until there is a notice."""

    def __init__(
        self,
        on_notice: Callable[[SpotNotice], None],
        services: Sequence[MetadataService],
        every_seconds: float,
    ) -> None:
        """The thread calls `on_notice` once."""
        self._on_notice, self._services = on_notice, services
        self._every_seconds = every_seconds
        self._ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="spot notice", daemon=True)

    def start(self) -> None:
        """Starts polling."""
        self.thread.start()

    def end(self) -> None:
        """Stops polling, at the latest when the request in hand has returned."""
        self._ended.set()

    def _watch(self) -> None:
        service = self._find_service()
        while service is not None and not self._ended.is_set():
            notice = service.notice(datetime.now(UTC))
            if notice is not None:
                self._on_notice(notice)
                return
            self._ended.wait(self._every_seconds)

    def _find_service(self) -> MetadataService | None:
        """The service that answers for its cloud; later failures do not change the choice."""
        for _ in range(ROUNDS):
            for service in self._services:
                if service.is_here():
                    return service
            if self._ended.wait(self._every_seconds):
                break
        return None


def metadata_services(environment: Mapping[str, str] = os.environ) -> tuple[MetadataService, ...]:
    """The services of all supported clouds, the one with the longest notice first."""
    return Aws(environment.get(AWS_ADDRESS) or ADDRESS), Azure(), Gcp()


class Aws:
    """EC2's service, version 2 of its protocol: a PUT gives the token that requests carry."""

    def __init__(self, address: str = ADDRESS, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._address, self._timeout_seconds = address.rstrip("/"), timeout_seconds
        self._token = ""

    def is_here(self) -> bool:
        """Whether the service gives out a token."""
        wanted = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        address = self._address + AWS_TOKEN
        response = request(address, wanted, self._timeout_seconds, method="PUT")
        self._token = response.text.strip() if response.status == OK else ""
        return bool(self._token)

    def notice(self, now: datetime) -> SpotNotice | None:
        """EC2 answers 404 without a notice, otherwise `{"action": "terminate", "time": …}`; stop
        and hibernate end a run too."""
        response = self._request()
        if response.status == UNAUTHORIZED and self.is_here():  # the token was too old
            response = self._request()
        return aws_notice(response)

    def _request(self) -> MetadataResponse:
        headers = {"X-aws-ec2-metadata-token": self._token}
        return request(self._address + AWS_ACTION, headers, self._timeout_seconds)


class Gcp:
    """Compute Engine's service."""

    def __init__(self, address: str = ADDRESS, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._url, self._timeout_seconds = address.rstrip("/") + GCP_PREEMPTED, timeout_seconds

    def is_here(self) -> bool:
        """Whether the service reports preemptions."""
        return self._request() in ("FALSE", "TRUE")

    def notice(self, now: datetime) -> SpotNotice | None:
        """The instance has half a minute from the notice, part of which may have passed."""
        return _half_a_minute_from(now) if self._request() == "TRUE" else None

    def _request(self) -> str:
        response = request(self._url, {"Metadata-Flavor": "Google"}, self._timeout_seconds)
        return response.text.strip() if response.status == OK else ""


class Azure:
    """Azure's service. It also lists neighbours' events, and the first request for events may take
    two minutes, so another request finds out whether the service is there."""

    def __init__(self, address: str = ADDRESS, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._address, self._timeout_seconds = address.rstrip("/"), timeout_seconds
        self._machine = ""

    def is_here(self) -> bool:
        """Whether the service knows the machine's name."""
        response = self._request(AZURE_NAME)
        self._machine = response.text.strip() if response.status == OK else ""
        return bool(self._machine)

    def notice(self, now: datetime) -> SpotNotice | None:
        """The notice of this machine's eviction."""
        return azure_notice(self._request(AZURE_EVENTS), self._machine, now)

    def _request(self, path: str) -> MetadataResponse:
        return request(self._address + path, {"Metadata": "true"}, self._timeout_seconds)


@dataclass(frozen=True, slots=True)
class MetadataResponse:
    """A service's response; status 0 means no response in time."""

    status: int = 0
    text: str = ""


def request(
    url: str, headers: Mapping[str, str], timeout_seconds: float, method: str = "GET"
) -> MetadataResponse:
    """One request, past every proxy; never raises."""
    try:
        parts = urlsplit(url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_seconds)
        try:
            connection.request(method, url.partition(parts.netloc)[2], headers=dict(headers))
            response = connection.getresponse()
            return MetadataResponse(
                response.status, response.read(MOST_BYTES).decode(errors="replace")
            )
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError):
        return MetadataResponse()


class _Action(BaseModel):
    action: str
    time: str = ""


class _Event(BaseModel):
    kind: str = Field(default="", alias="EventType")
    machines: list[str] = Field(default=[], alias="Resources")
    not_before: str = Field(default="", alias="NotBefore")


class _Events(BaseModel):
    events: list[_Event] = Field(default=[], alias="Events")


def aws_notice(response: MetadataResponse) -> SpotNotice | None:
    """What EC2's response means."""
    if response.status != OK:
        return None
    try:
        action = _Action.model_validate_json(response.text)
    except ValidationError:
        return None
    try:
        ends_at = datetime.fromisoformat(action.time)
    except ValueError:
        return SpotNotice(None)
    return SpotNotice(ends_at if ends_at.tzinfo else ends_at.replace(tzinfo=UTC))


def azure_notice(response: MetadataResponse, machine: str, now: datetime) -> SpotNotice | None:
    """What Azure's response means for the machine of this name."""
    if response.status != OK:
        return None
    try:
        events = _Events.model_validate_json(response.text).events
    except ValidationError:
        return None
    for event in events:
        named = [name.casefold() for name in event.machines]
        if event.kind == "Preempt" and (not named or machine.casefold() in named):
            return _azure_end(event.not_before, now)
    return None


def _azure_end(not_before: str, now: datetime) -> SpotNotice:
    """The moment of an HTTP date; without one the eviction has begun."""
    try:
        return SpotNotice(parsedate_to_datetime(not_before).astimezone(UTC))
    except ValueError:
        return _half_a_minute_from(now)


def _half_a_minute_from(now: datetime) -> SpotNotice:
    return SpotNotice(now + HALF_A_MINUTE - timedelta(seconds=LOOK_EVERY_SECONDS))
