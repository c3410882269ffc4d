"""A server on loopback that takes notifications, or fails in one of the ways that servers have."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

PATH = "/services/T0PLANTED/B0PLANTED/plantedNotifySecret"
Trouble = Literal["hangs", "refuses", "redirects", "raves"]


@dataclass
class NotifyServer:
    """What it was sent, and how it fails."""

    url: str
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
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    serving = NotifyServer(f"http://127.0.0.1:{server.server_port}{PATH}", trouble)
    server.service = serving  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield serving
    finally:
        serving.given_up.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        service: NotifyServer = self.server.service  # type: ignore[attr-defined]
        service.paths.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
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
        self.send_response({None: 204, "refuses": 403, "redirects": 307}[service.trouble])
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Silence."""
