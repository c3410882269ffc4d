"""A proxy between a client and an HTTP server that lets chosen requests go wrong, or answers them
as another server does."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import urlsplit

from loopback_server import QuietHandler, loopback_server

Kind = Literal[
    "answer",
    "reset",
    "hang",
    "page",
    "say",
    "empty",
    "redirect",
    "lose reply",
    "cut",
    "bare",
    "flip",
    "strip",
    "drip",
    "drip all",
]
PAGE = b"<!DOCTYPE html><html><body>Welcome to the hotel. Please sign in.</body></html>"
DRIP_SECONDS = 0.2
"""between two bytes"""
ERROR = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"""
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Fault:
    """What goes wrong with requests of one method whose path holds a text, and how often.

    These never reach the server: an `answer` with an error, a `reset`, a `hang` without an answer,
    a `page` of HTML, to `say` a body, an `empty` answer, a `redirect` to nowhere.
    These do: `lose reply` throws the answer away, `cut` ends its body halfway, `bare` right after
    the headers; `flip` changes one bit of it, `strip` takes the header or the element `code` out;
    `drip` sends its body a byte at a time, `drip all` its headers, too.
    """

    kind: Kind
    method: str
    part: str
    times: int = 1
    status: int = 503
    code: str = "SlowDown"
    body: bytes = b""

    def hits(self, method: str, path: str) -> bool:
        return self.times > 0 and method == self.method and self.part in path


@dataclass(frozen=True)
class Request:
    """What came, whole; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Server(Protocol):
    """Answers some requests as a server does that is not the one behind the proxy."""

    def answer(self, request: Request) -> Reply | None:
        """None where the one behind the proxy answers just so."""
        ...


class Itself:
    """Leaves every request to the server behind the proxy."""

    def answer(self, request: Request) -> Reply | None:
        return None


@dataclass
class FaultProxy:
    """The proxy's address, its faults, and every request that came: `PUT /bucket/key`."""

    upstream: str
    server: Server = field(default_factory=Itself)
    url: str = ""
    faults: list[Fault] = field(default_factory=list[Fault])
    requests: list[str] = field(default_factory=list[str])
    ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.requests.append(f"{method} {path}")
            fault = next((fault for fault in self.faults if fault.hits(method, path)), None)
            if fault is not None:
                fault.times -= 1
            return fault


class Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def handle_one(self) -> None:
        body = self.body()
        fault = self.proxy.take(self.command, self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.proxy.server.answer(Request(self.command, self.path, headers, body))
        if reply is not None:
            self._send(reply.status, list(reply.headers), reply.body)
        elif fault is None or not self._answer_alone(fault):
            self._pass_on(body, fault)

    def _answer_alone(self, fault: Fault) -> bool:
        """Whether the fault is one that the server never hears of."""
        match fault.kind:
            case "answer":
                self._send(fault.status, [], ERROR.format(code=fault.code).encode())
            case "page":
                self._send(fault.status, [("Content-Type", "text/html")], PAGE)
            case "say":
                self._send(fault.status, [("Content-Type", "application/xml")], fault.body)
            case "empty":
                self._send(fault.status, [], b"")
            case "redirect":
                self._send(fault.status, [("Location", "http://127.0.0.1:9/login")], b"")
            case "hang":
                self.proxy.ended.wait()
                self._reset()
            case "reset":
                self._reset()
            case _:
                return False
        return True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one  # noqa: N815 - http.server's names

    def _pass_on(self, body: bytes, fault: Fault | None) -> None:
        status, headers, content = self._forward(body)
        kind = fault.kind if fault is not None else None
        if kind == "lose reply":
            self._reset()
            return
        if kind == "flip" and content:
            content = bytes([content[0] ^ 1]) + content[1:]
        if kind == "strip" and fault is not None:
            name = fault.code
            headers = [one for one in headers if one[0].lower() != name.lower()]
            content = re.sub(rf"<{name}>[^<]*</{name}>".encode(), b"", content)
        self._send(status, headers, content, kind)

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = urlsplit(self.proxy.upstream)
        connection = http.client.HTTPConnection(str(upstream.hostname), upstream.port, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, response.getheaders(), content

    def _send(
        self,
        status: int,
        headers: list[tuple[str, str]],
        content: bytes,
        kind: Kind | None = None,
    ) -> None:
        if kind == "drip all":
            self._drip(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: x\r\n" * 1000)
            return
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if kind == "drip":
            self._drip(content)
            return
        self.wfile.write(content[: {"cut": len(content) // 2, "bare": 0}.get(kind or "")])
        if kind in ("cut", "bare"):
            self.close_connection = True

    def _drip(self, content: bytes) -> None:
        self.close_connection = True
        with suppress(OSError):
            for number in range(len(content)):
                self.wfile.write(content[number : number + 1])
                if self.proxy.ended.wait(DRIP_SECONDS):
                    return

    def _reset(self) -> None:
        """Ends the connection as a server does that was killed."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


@contextmanager
def fault_proxy(upstream: str, server: Server | None = None) -> Generator[FaultProxy]:
    """Listens on loopback for as long as the block lasts."""
    proxy = FaultProxy(upstream, server or Itself())
    with loopback_server(Handler, proxy=proxy) as proxy.url:
        try:
            yield proxy
        finally:
            proxy.ended.set()
