"""An HTTP server on loopback, for as long as a block lasts."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class QuietHandler(BaseHTTPRequestHandler):
    """Logs nothing."""

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def say(self, status: int, content: bytes, **headers: str) -> None:
        """Answers; a header's name has underscores in place of hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def say_json(self, status: int, answer: object) -> None:
        self.say(status, json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@contextmanager
def loopback_server(handler: type[BaseHTTPRequestHandler], **bound: object) -> Generator[str]:
    """Its URL, without a slash at the end.

    Args:
        bound: attributes that the handler gets, such as the service that it answers for.
    """
    own = type("BoundHandler", (handler,), bound)
    with ThreadingHTTPServer(("127.0.0.1", 0), own) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
