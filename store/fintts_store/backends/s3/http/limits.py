"""Limits the time of a whole request, where sockets limit only a silence, and the bytes of an
answer that is read whole.

A server that sends a byte a second is never silent. Every request gets an allowance of seconds,
which only waiting for the network uses up, so a slow disk does not count. Transferred bytes give
some of it back, so a slow line can carry a large object.
"""

import io
import socket
import time
from collections.abc import Callable, Generator, Hashable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

from fintts_store.network.patience import Patience
from fintts_store.runs.limits import MIB, PAGE_BYTES

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from typing_extensions import Buffer


LEAST_BYTES_PER_SECOND = 8 * 1024
"""Four parallel transfers over a line of 256 kbit/s stay within it"""
SENT_AT_ONCE_BYTES = 64 * 1024


class Allowance:
    """The seconds left for the current request."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._whole, self._now = seconds, now
        self.left_seconds = seconds

    def renew(self) -> None:
        """Starts a new request."""
        self.left_seconds = self._whole

    @contextmanager
    def waiting(self) -> Generator[float]:
        """Counts the time of the block, and gives it the remaining seconds.

        Raises:
            TimeoutError: none remain.
        """
        if self.left_seconds <= 0:
            raise TimeoutError("the request took too long as a whole")
        began = self._now()
        try:
            yield self.left_seconds
        finally:
            self.left_seconds -= self._now() - began

    def moved(self, count_bytes: int) -> None:
        """Gives seconds back for transferred bytes, up to the initial allowance."""
        gained = count_bytes / LEAST_BYTES_PER_SECOND
        self.left_seconds = min(self._whole, self.left_seconds + gained)


class LimitedSocket:
    """A connected socket whose reads and writes use up an allowance."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._silent_seconds = sock.gettimeout()
        self.allowance = Allowance(seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        """Sets how long the other side may be silent."""
        self._silent_seconds = seconds

    def sendall(self, data: "Buffer") -> None:
        """Sends in pieces, which distinguishes a slow upload from a stalled one."""
        view = memoryview(data).cast("B")
        for first in range(0, len(view), SENT_AT_ONCE_BYTES):
            piece = view[first : first + SENT_AT_ONCE_BYTES]
            with self.waiting():
                self._sock.sendall(piece)
            self.allowance.moved(len(piece))

    def makefile(self, _mode: str = "rb", buffering: int = -1) -> io.IOBase:
        """The file that http.client reads an answer from."""
        raw = _LimitedRaw(cast("io.RawIOBase", self._sock.makefile("rb", buffering=0)), self)
        return raw if buffering == 0 else io.BufferedReader(raw)

    @contextmanager
    def waiting(self) -> Generator[None]:
        """One call of the socket, limited by the silence limit and the allowance."""
        with self.allowance.waiting() as left:
            silent = self._silent_seconds
            self._sock.settimeout(left if silent is None else min(left, silent))
            yield


class _LimitedRaw(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: LimitedSocket) -> None:
        self._raw, self._limited = raw, sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int | None:
        with self._limited.waiting():
            count: int | None = self._raw.readinto(buffer)
        self._limited.allowance.moved(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def limit(client: "S3Client", patience: Patience) -> None:
    """Applies the patience's total limit to every connection that the client makes from now on."""

    # boto3 has no setting for it. All pools, those for proxies too, come from this table; a test
    # with a slowly sending server checks that it still works.
    pools = cast("Any", client)._endpoint.http_session._pool_classes_by_scheme
    for scheme, connection, pool in (
        ("http", AWSHTTPConnection, AWSHTTPConnectionPool),
        ("https", AWSHTTPSConnection, AWSHTTPSConnectionPool),
    ):
        limited = _limited_connection(connection, patience.total_seconds)
        pools[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": limited})


def _limited_connection(kind: Any, seconds: float) -> Any:
    """A subclass of a botocore connection with limited sockets."""

    def connect(self: Any) -> None:
        kind.connect(self)
        self.sock = LimitedSocket(self.sock, seconds)

    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self.sock, LimitedSocket):
            self.sock.allowance.renew()
        return kind.request(self, *args, **kwargs)

    def getresponse(self: Any) -> Any:
        response = kind.getresponse(self)
        # A bound method would make a reference cycle, which keeps the socket open.
        response.__class__ = _bounded(cast("Hashable", type(response)))
        return response

    methods = {"connect": connect, "request": request, "getresponse": getresponse}
    return type(kind.__name__, (kind,), methods)


@cache
def _bounded(kind: Any) -> Any:
    """urllib3's response with a size limit: botocore reads a document whole by `stream` before the
    caller sees it, and an object by `read`."""

    def stream(self: Any, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        count = 0
        for chunk in kind.stream(self, *args, **kwargs):
            count += len(chunk)
            if count > PAGE_BYTES:
                self.close()
                raise ValueError(f"it sent a document of more than {PAGE_BYTES // MIB} MiB")
            yield chunk

    return type(kind.__name__, (kind,), {"stream": stream})
