"""A server on loopback that takes notifications, or fails in one of the ways that servers have."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from loopback_server import QuietHandler, loopback_server

PATH = "/services/T0PLANTED/B0PLANTED/plantedNotifySecret"
Trouble = Literal["hangs", "refuses", "redirects", "raves"]


@dataclass
class NotifyServer:
    """What it was sent, and how it fails."""

    url: str = ""
    trouble: Trouble | None = None
    bodies: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    paths: list[str] = field(default_factory=list[str])
    has_taken: threading.Event = field(default_factory=threading.Event)
    given_up: threading.Event = field(default_factory=threading.Event)
    """ends what hangs"""

    @property
    def events(self) -> list[str]:
        return [body["event"] for body in self.bodies]


@contextmanager
def notify_server(trouble: Trouble | None = None) -> Generator[NotifyServer]:
    service = NotifyServer(trouble=trouble)
    with loopback_server(_Handler, service=service) as url:
        service.url = url + PATH
        try:
            yield service
        finally:
            service.given_up.set()


class _Handler(QuietHandler):
    service: NotifyServer

    def _take(self) -> None:
        service = self.service
        service.paths.append(self.path)
        body = self.body()
        if service.trouble == "hangs":
            service.given_up.wait()
            return
        if service.trouble == "raves":
            self.wfile.write(b"\xff\xfe nonsense\r\n\r\n")
            return
        if service.trouble is None:
            assert self.headers["Content-Type"] == "application/json"
            service.bodies.append(json.loads(body))
            service.has_taken.set()
        status = {None: 204, "refuses": 403, "redirects": 307}[service.trouble]
        self.say(status, b"", Location="/elsewhere")

    do_GET = do_POST = _take  # noqa: N815 - http.server's names
