"""A site of the emulated internet, and the HTTP that it need not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol


@dataclass(frozen=True)
class Request:
    verb: str
    path: str
    """without its query"""
    key: str
    """what was shown as bearer"""
    body: Any
    """JSON; None without one"""
    caller: str
    """the address that it came from"""


@dataclass(frozen=True)
class Answer:
    status: int
    body: object
    """a text as it is, anything else as JSON"""


class Site(Protocol):
    """Is asked by several threads at a time."""

    def answer(self, request: Request) -> Answer: ...


def handler_of(sites: Mapping[str, Site]) -> type[BaseHTTPRequestHandler]:
    """Answers each request by the site whose name it asks for."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            site = sites.get(self.headers.get("Host", "").partition(":")[0])
            request = self._request()
            answer = Answer(200, "") if site is None else site.answer(request)
            is_text = isinstance(answer.body, str)
            content = str(answer.body) if is_text else json.dumps(answer.body)
            self.send_response(answer.status)
            self.send_header("Content-Type", "text/plain" if is_text else "application/json")
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content.encode())

        def _request(self) -> Request:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            path = self.path.partition("?")[0]
            body = json.loads(sent) if sent else None
            return Request(self.command, path, key, body, self.client_address[0])

        def log_message(self, *_: object) -> None:
            """Silence."""

    for verb in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        setattr(Handler, f"do_{verb}", Handler.answer)
    return Handler
