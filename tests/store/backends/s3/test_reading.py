"""Reading ahead ends with the reader."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from botocore.response import StreamingBody

from fintts_store.backends.s3.transfer.parts import PARTS as SIZES
from fintts_store.backends.s3.transfer.reading import PARTS_AHEAD, S3Reading
from fintts_store.store import CHUNK_BYTES

PARTS = 8


class SlowObject:
    """PARTS parts, of which chunk after chunk comes, and no two at the same moment."""

    def __init__(self) -> None:
        self.chunks = 0
        self._line = threading.Lock()

    @contextmanager
    def ask(self, wanted: str, _tag: str) -> Generator[Any]:
        first = int(wanted.removeprefix("bytes=").split("-")[0] or 0) if wanted else 0
        size = PARTS * SIZES.part_bytes
        yield {
            "ETag": "one",
            "ContentLength": size - first,
            "ContentRange": f"bytes {first}-{size - 1}/{size}",
            "Body": self,
        }

    def iter_chunks(self, _size: int) -> Iterator[bytes]:
        for _ in range(SIZES.part_bytes // CHUNK_BYTES):
            with self._line:
                time.sleep(0.01)
                self.chunks += 1
            yield bytes(CHUNK_BYTES)

    def close(self) -> None:
        """There is nothing to close."""


class RangedObject:
    """Answers as S3 does: with what there is of a range, and with the size of the whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.wanted: list[range] = []

    @contextmanager
    def ask(self, wanted: str, _tag: str) -> Generator[Any]:
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        self.wanted.append(range(first, last + 1))
        part = self._data[first : last + 1]
        yield {
            "ETag": "one",
            "ContentLength": len(part),
            "ContentRange": f"bytes {first}-{first + len(part) - 1}/{len(self._data)}",
            "Body": StreamingBody(BytesIO(part), len(part)),
        }


def test_no_request_asks_for_more_than_a_part() -> None:
    """A server reads ahead of what is taken: bytes that are asked for in vain are not for free."""
    data = bytes(range(256)) * 20
    for start in (0, 1, 1000, 4500, len(data) - 1):
        held = RangedObject(data)
        assert b"".join(S3Reading("a", start, held.ask, part_bytes=1000).chunks()) == data[start:]
        assert max(map(len, held.wanted)) <= 1000
        assert sum(map(len, held.wanted)) < len(data) - start + 1000, "nothing twice"


def reading_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("s3-part")]


def test_who_stops_reading_ends_what_is_read_ahead() -> None:
    slow = SlowObject()
    chunks = S3Reading("a", 0, slow.ask).chunks()
    next(chunks)
    next(chunks)
    assert reading_threads()
    chunks.close()
    deadline = time.monotonic() + 20
    while names := reading_threads():
        assert time.monotonic() < deadline, names
        time.sleep(0.01)
    in_parts = SIZES.part_bytes // CHUNK_BYTES
    assert slow.chunks < PARTS_AHEAD * in_parts, "the parts were not read to their ends"


def test_no_more_lies_in_memory_than_a_few_parts() -> None:
    slow = SlowObject()
    chunks = S3Reading("a", 0, slow.ask).chunks()
    next(chunks)
    next(chunks)
    in_parts = SIZES.part_bytes // CHUNK_BYTES
    deadline = time.monotonic() + 20
    while slow.chunks < 2 + PARTS_AHEAD * in_parts:
        assert time.monotonic() < deadline, slow.chunks
        time.sleep(0.01)
    time.sleep(0.2)
    assert slow.chunks == 2 + PARTS_AHEAD * in_parts, "nobody has taken any of them"
    assert sum(map(len, chunks)) == PARTS * SIZES.part_bytes - 2 * CHUNK_BYTES
