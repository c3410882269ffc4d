"""Reads one object of S3; a large one in parallel parts, each resumed after a broken connection.

One connection to S3 carries some tens of MB per second, however fast the network is; several add
up. The parts arrive in order, so that a reader can hash and append them, and at most PARTS_AHEAD of
them are in memory.
"""

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from queue import SimpleQueue
from typing import TYPE_CHECKING

from fintts_store.backends.s3.transfer.parts import PARTS
from fintts_store.errors import KeyExists, NothingThere, StoreUnreachable
from fintts_store.network.patience import PATIENT, Patience
from fintts_store.store import CHUNK_BYTES

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

    Open = Callable[[str, str], AbstractContextManager[GetObjectOutputTypeDef]]
    """Requests a range (`bytes=0-99`, empty for all) of the object with this tag (empty for any).
    Errors during reading are StoreErrors."""

PARTS_AHEAD = 3
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class S3Reading:
    """The bytes of one object from `start` on, all from the same version."""

    def __init__(
        self,
        key: str,
        start: int,
        ask: "Open",
        patience: Patience = PATIENT,
        part_bytes: int = PARTS.part_bytes,
    ) -> None:
        self._key, self._start, self._ask, self._patience = key, start, ask, patience
        self._part_bytes = part_bytes
        self._size_bytes = 0
        self._tag = ""

    @property
    def tag(self) -> str:
        """The object's ETag; empty before the first byte."""
        return self._tag

    def chunks(self) -> Generator[bytes]:
        """In order, at most CHUNK_BYTES each.

        Raises:
            StoreUnreachable: every try broke before a whole chunk arrived, or the object was
                replaced meanwhile.
            StoreError: the store refuses.
        """
        first_part = self._part(self._start)
        # The first answer has the object's size, which shows whether there are more parts.
        try:
            first = next(first_part, None)
        except NothingThere:  # it is empty, or no longer than `start`
            return
        if first is None:
            return
        yield first
        others = range(self._start + self._part_bytes, self._size_bytes, self._part_bytes)
        if not others:
            yield from first_part
            return
        with closing(_PartsAhead(self._part, others)) as ahead:
            yield from first_part
            yield from ahead.chunks()

    def _part(self, first: int) -> Iterator[bytes]:
        """The bytes from `first` to the end of that part, or of the object."""
        read, failures = first, 0
        while True:
            try:
                for piece in self._attempt(first, read):
                    read += len(piece)
                    failures = 0 if len(piece) == CHUNK_BYTES else failures
                    yield piece
            except KeyExists as error:
                raise StoreUnreachable(f"{self._key} was replaced during the read") from error
            except StoreUnreachable:
                failures += 1
                if failures >= self._patience.tries:
                    raise
                time.sleep(self._patience.pause_seconds(failures))
            else:
                return

    def _attempt(self, first: int, read: int) -> Iterator[bytes]:
        """The rest of a part, from the byte `read` on."""
        with self._ask(self._range(first, read), self._tag) as answer:
            self._recognize(answer, read)
            left = self._end_of(first) - read
            for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:  # the rest of this answer belongs to other parts
                    answer["Body"].close()
                    return
            if left > 0:
                raise StoreUnreachable(f"{self._key} ended {left:,} bytes early")

    def _recognize(self, answer: "GetObjectOutputTypeDef", read: int) -> None:
        """Accepts an answer only for the requested bytes of the same object."""
        begins, size = _place_of(answer)
        if begins != read:
            answer["Body"].close()
            raise StoreUnreachable(f"{self._key} came from byte {begins:,} instead of {read:,}")
        if not self._tag:
            self._tag, self._size_bytes = answer["ETag"], size
        elif answer["ETag"] != self._tag:
            answer["Body"].close()
            raise KeyExists(f"{self._key} is now another object")

    def _range(self, first: int, read: int) -> str:
        # The size is unknown at first. A server sends as much of a range as exists; asking for more
        # than a part could make it read and send bytes in vain.
        end = self._end_of(first) if self._tag else first + self._part_bytes
        return f"bytes={read}-{end - 1}"

    def _end_of(self, first: int) -> int:
        return min(first + self._part_bytes, self._size_bytes)


def _place_of(answer: "GetObjectOutputTypeDef") -> tuple[int, int]:
    """The first byte of an answer, and the size of the whole object."""
    match = _RANGE.fullmatch(answer.get("ContentRange", ""))
    if match is None:  # a server that gives all of it
        return 0, answer["ContentLength"]
    return int(match[1]), int(match[3])


class _PartsAhead:
    """Parts of an object that threads read ahead."""

    def __init__(self, read: Callable[[int], Iterator[bytes]], firsts: range) -> None:
        self._read, self._waiting = read, deque(firsts)
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(PARTS_AHEAD, thread_name_prefix="s3-part")
        self._begun: deque[SimpleQueue[bytes | BaseException | None]] = deque()
        for _ in range(PARTS_AHEAD):
            self._begin_one()

    def chunks(self) -> Iterator[bytes]:
        """All parts in order; raises a thread's error."""
        while self._begun:
            part = self._begun.popleft()
            while (item := part.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
            self._begin_one()

    def close(self) -> None:
        """Ends the threads after their current chunk."""
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin_one(self) -> None:
        if self._waiting:
            part: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
            self._begun.append(part)
            self._pool.submit(self._fill, part, self._waiting.popleft())

    def _fill(self, part: "SimpleQueue[bytes | BaseException | None]", first: int) -> None:
        try:
            for chunk in self._read(first):
                if self._stop.is_set():
                    return
                part.put(chunk)
            part.put(None)
        except BaseException as error:  # the reader raises it, whatever it is
            part.put(error)
