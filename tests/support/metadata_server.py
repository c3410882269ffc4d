"""A cloud's metadata service on loopback, as an instance of AWS, GCP or Azure finds it."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from loopback_server import QuietHandler, loopback_server

Cloud = Literal["aws", "azure", "gcp"]
MACHINE = "trainer-head"
Reply = tuple[int, str]


@dataclass
class MetadataServer:
    """What the service says, which a test changes, and what it was asked."""

    cloud: Cloud
    url: str = ""
    announced: str | None = None
    """AWS's document, Azure's events; of GCP whatever is no None"""
    trouble: Literal["hangs", "fails", "raves"] | None = None
    tokens: set[str] = field(default_factory=set[str])
    asked: list[str] = field(default_factory=list[str])
    given_up: threading.Event = field(default_factory=threading.Event)
    """ends what hangs"""

    def announce(self, at: str) -> None:
        """That the machine is taken away; `at` is written as the cloud does."""
        event = {"EventType": "Preempt", "Resources": [MACHINE], "NotBefore": at}
        documents = {
            "aws": {"action": "terminate", "time": at},
            "azure": {"DocumentIncarnation": 2, "Events": [event]},
            "gcp": {},
        }
        self.announced = json.dumps(documents[self.cloud])


@contextmanager
def metadata_server(cloud: Cloud) -> Generator[MetadataServer]:
    service = MetadataServer(cloud)
    with loopback_server(_Handler, service=service) as service.url:
        try:
            yield service
        finally:
            service.given_up.set()


class _Handler(QuietHandler):
    service: MetadataServer

    def _answer(self) -> None:
        service = self.service
        service.asked.append(f"{self.command} {self.path}")
        if service.trouble == "hangs":
            service.given_up.wait()
            return
        of_cloud = {"aws": self._of_aws, "azure": self._of_azure, "gcp": self._of_gcp}
        status, text = of_cloud[service.cloud](service)
        if service.trouble == "fails":
            status, text = 500, "Internal Server Error"
        if service.trouble == "raves":
            status, text = 200, '<html>{"action": ["\udcff'
        self.say(status, text.encode(errors="surrogateescape"))

    do_GET = do_PUT = _answer  # noqa: N815 - http.server's names

    def _of_aws(self, service: MetadataServer) -> Reply:
        if (self.command, self.path) == ("PUT", "/latest/api/token"):
            seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            if not seconds.isdecimal() or not 1 <= int(seconds) <= 21600:
                return 400, "Bad Request"
            token = f"token-{len(service.asked)}"
            service.tokens.add(token)
            return 200, token
        if self.headers.get("X-aws-ec2-metadata-token") not in service.tokens:
            return 401, "Unauthorized"
        if self.path != "/latest/meta-data/spot/instance-action" or service.announced is None:
            return 404, "Not Found"
        return 200, service.announced

    def _of_gcp(self, service: MetadataServer) -> Reply:
        if self.headers.get("Metadata-Flavor") != "Google":
            return 403, "Missing Metadata-Flavor:Google header."
        if self.path != "/computeMetadata/v1/instance/preempted":
            return 404, "Not Found"
        return 200, "FALSE" if service.announced is None else "TRUE"

    def _of_azure(self, service: MetadataServer) -> Reply:
        if self.headers.get("Metadata") != "true" or "api-version=" not in self.path:
            return 400, "Bad Request"
        path, _, query = self.path.partition("?")
        if path == "/metadata/instance/compute/name" and "format=text" in query:
            return 200, MACHINE
        if path != "/metadata/scheduledevents":
            return 404, "Not Found"
        return 200, service.announced or '{"DocumentIncarnation": 1, "Events": []}'
