"""Servers that take every connection and never finish an answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from fault_proxy import Reply, Request

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 1000000\r\n\r\n"


def _say_nothing(_connection: socket.socket) -> None:
    """The connection stays open."""


def _trickle(connection: socket.socket) -> None:
    """A byte every half second, so that no time limit for a single read is ever reached."""
    with suppress(OSError):
        connection.recv(65536)
        connection.sendall(HEADERS)
        while True:
            connection.sendall(b" ")
            time.sleep(0.5)


KINDS: dict[str, Callable[[socket.socket], None]] = {
    "says nothing": _say_nothing,
    "trickles": _trickle,
}


@contextmanager
def silent_server(kind: str) -> Iterator[str]:
    """Its URL, for as long as the block lasts."""
    open_ones: list[socket.socket] = []
    has_ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                if has_ended.is_set():  # it came while the others were closed
                    connection.close()
                threading.Thread(target=KINDS[kind], args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        has_ended.set()
        for each in (listener, *open_ones):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@dataclass
class FallsSilent:
    """For `fault_proxy`: the server behind it answers so many requests, and then no more."""

    after: int
    ended: threading.Event = field(default_factory=threading.Event)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, _request: Request) -> Reply | None:
        with self._counting:
            self.after -= 1
            is_well = self.after >= 0
        if is_well:
            return None
        self.ended.wait()
        return Reply(503)
