"""A proxy between a client and an HTTP server that lets chosen requests go wrong."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal["answer", "reset", "lose reply", "cut", "flip"]
ERROR = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"""
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Fault:
    """What goes wrong with requests of one method whose path holds a text, and how often.

    `answer` never reaches the server; `lose reply` does, and its answer is thrown away; `cut` ends
    the body halfway; `flip` changes one bit of it.
    """

    kind: Kind
    method: str
    part: str
    times: int = 1
    status: int = 503
    code: str = "SlowDown"

    def hits(self, method: str, path: str) -> bool:
        return self.times > 0 and method == self.method and self.part in path


@dataclass
class FaultProxy:
    """The proxy's address, its faults, and every request that came: `PUT /bucket/key`."""

    upstream: str
    url: str = ""
    faults: list[Fault] = field(default_factory=list[Fault])
    requests: list[str] = field(default_factory=list[str])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.requests.append(f"{method} {path}")
            fault = next((fault for fault in self.faults if fault.hits(method, path)), None)
            if fault is not None:
                fault.times -= 1
            return fault


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.take(self.command, self.path)
        if fault is not None and fault.kind == "answer":
            self._send(fault.status, [], ERROR.format(code=fault.code).encode())
        elif fault is not None and fault.kind == "reset":
            self._reset()
        else:
            self._pass_on(body, fault.kind if fault is not None else None)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one  # noqa: N815 - http.server's names

    def _pass_on(self, body: bytes, kind: Kind | None) -> None:
        status, headers, content = self._forward(body)
        if kind == "lose reply":
            self._reset()
            return
        if kind == "flip" and content:
            content = bytes([content[0] ^ 1]) + content[1:]
        self._send(status, headers, content, cut=kind == "cut")

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = urlsplit(self.proxy.upstream)
        connection = http.client.HTTPConnection(str(upstream.hostname), upstream.port, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, response.getheaders(), content

    def _send(
        self, status: int, headers: list[tuple[str, str]], content: bytes, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True

    def _reset(self) -> None:
        """Ends the connection as a server does that was killed."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """Listens on loopback for as long as the block lasts."""
    proxy = FaultProxy(upstream)
    handler = type("BoundHandler", (Handler,), {"proxy": proxy})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
