"""The encoded data set: every utterance as the model reads it, in one file mapped into memory.

A run encodes its utterances once; each later start opens the file, whatever its size. All numbers
are little-endian:

    header   JSON: format, counts, index_crc32; blanks up to 512 bytes
    index    20 bytes per utterance, see INDEX
    body     per utterance: row 0, uint32 [T], then the other rows at the frames,
             uint16 [rows - 1, T - text_length], up to a multiple of 4 bytes

The header is written last, then the file gets its name: it is complete or absent.
"""

from __future__ import annotations

import math
import mmap
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ValidationError

from fintts_inputs.data.holdout import mark_of
from fintts_inputs.data.pairs import refuse_empty_part
from fintts_inputs.errors import DataProblem
from fintts_store.disk.durable import durable_file
from fintts_store.disk.lock import alone_in
from fintts_trainer.families.base import Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy.typing as npt

FORMAT = "fintts-encoded-1"
HEADER_BYTES = 512
INDEX = np.dtype(
    [
        ("mark", "<u8"),  # of the name; decides the side of the split
        ("length", "<u4"),  # T
        ("text_length", "<u4"),  # positions before the first frame
        ("crc32", "<u4"),  # of its part of the body
    ]
)
TOKEN, CODE = np.dtype("<u4"), np.dtype("<u2")
ALIGNMENT = 4
RELEASE_BYTES = 64 * 1024 * 1024
"""Pages are released after so many mapped bytes, so that memory stays flat."""
FAULT_BYTES = 64 * 1024
"""What Linux maps around a page that is read, if it is in the page cache."""


class _Header(BaseModel):
    format: str
    utterances: int
    rows: int
    end_has_codes: bool
    index_crc32: int


@dataclass
class EncodedDataset:
    """An encoded data set; utterances are numbered as in the pack."""

    path: Path
    rows: int
    lengths: npt.NDArray[np.int64]
    """tokens that the model reads of each utterance: T - 1"""
    text_lengths: npt.NDArray[np.int64]
    """how many of these come before the first frame"""
    end_has_codes: bool
    """as in `Example`; the same for all utterances"""
    _mapping: mmap.mmap
    _index: npt.NDArray[np.void]
    _offsets: npt.NDArray[np.int64]
    _release_bytes: int
    _mapped_bytes: int = field(default=0, init=False)

    def __len__(self) -> int:
        return len(self.lengths)

    def example(self, number: int) -> Example:
        """One utterance, in the types that the model reads.

        Raises:
            DataProblem: the bytes differ from those written; the file is removed.
        """
        start, stop = (int(offset) for offset in self._offsets[number : number + 2])
        _, length, text_length, crc32 = self._index[number].item()
        part = self._mapping[start:stop]
        self._release(len(part) + FAULT_BYTES)
        if zlib.crc32(part) != crc32:
            self._remove_and_refuse(number)
        tokens = np.zeros((self.rows, length), dtype=np.int64)
        tokens[0] = np.frombuffer(part, TOKEN, length)
        shape = (self.rows - 1, length - text_length)
        codes = np.frombuffer(part, CODE, math.prod(shape), length * TOKEN.itemsize)
        tokens[1:, text_length:] = codes.reshape(shape)
        return Example(tokens, text_length, self.end_has_codes)

    def split(self, fraction: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Numbers of the training and the held-out utterances, as in `data.check.split`.

        Raises:
            DataProblem: one of the two parts would be empty.
        """
        # A whole number is below the limit if and only if it is below the next whole one.
        held_out = self._index["mark"] < np.uint64(math.ceil(fraction * 2**64))
        training, validation = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        refuse_empty_part(len(training), len(validation))
        return training, validation

    def _release(self, mapped_bytes: int) -> None:
        """Releases the pages that were read; they stay in the page cache while there is room."""
        self._mapped_bytes += mapped_bytes
        if self._mapped_bytes >= self._release_bytes:
            self._mapped_bytes = 0
            self._mapping.madvise(mmap.MADV_DONTNEED)

    def _remove_and_refuse(self, number: int) -> None:
        self.path.unlink(missing_ok=True)
        raise DataProblem(
            f"utterance number {number} of the encoded data set {self.path} is damaged",
            "start the run again: it resumes from its checkpoint, and encodes the data again",
        )


def encoded_once(folder: Path, key: str, write: Callable[[Path], None]) -> EncodedDataset:
    """The encoded data set `key` of this folder; `write` makes it if it is missing or incomplete.
    Making it removes everything else in the folder: leftovers of killed processes.

    Raises:
        StoreError: the disk cannot be written.
    """
    path = folder / f"{key}.encoded"
    with alone_in(folder):  # other processes on this workspace wait here, and then find the file
        with suppress(DataProblem):
            return read_encoded(path)
        for leftover in folder.iterdir():
            leftover.unlink()
        write(path)
        return read_encoded(path)


def read_encoded(path: Path, release_bytes: int = RELEASE_BYTES) -> EncodedDataset:
    """Opens the file; the body is read on demand.

    Args:
        release_bytes: how much is read before its pages are released.

    Raises:
        DataProblem: the file is missing or incomplete.
    """
    try:
        with path.open("rb") as file:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header = _read_header(mapping)
        index = np.frombuffer(mapping, INDEX, header.utterances, HEADER_BYTES)
    except (OSError, ValueError) as error:
        raise DataProblem(f"{path} is not an encoded data set: {error}") from None
    if zlib.crc32(index.tobytes()) != header.index_crc32:
        raise DataProblem(f"{path} is not a complete encoded data set: its index is damaged")
    lengths, text_lengths = (index[key].astype(np.int64) for key in ("length", "text_length"))
    sizes = _size_bytes(header.rows, lengths, text_lengths)
    offsets = np.zeros(len(index) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    offsets += HEADER_BYTES + index.nbytes
    if offsets[-1] != len(mapping):
        raise DataProblem(
            f"{path} is not a complete encoded data set: it has {len(mapping):,} bytes instead "
            f"of {offsets[-1]:,}"
        )
    return EncodedDataset(
        path=path,
        rows=header.rows,
        lengths=lengths - 1,
        text_lengths=text_lengths,
        end_has_codes=header.end_has_codes,
        _mapping=mapping,
        _index=index,
        _offsets=offsets,
        _release_bytes=release_bytes,
    )


def _read_header(mapping: mmap.mmap) -> _Header:
    """Raises ValueError with what is wrong."""
    try:
        header = _Header.model_validate_json(mapping[:HEADER_BYTES])
    except ValidationError:
        raise ValueError("it has no header") from None
    if header.format != FORMAT:
        raise ValueError(f"its format is {header.format}, not {FORMAT}")
    return header


def write_encoded(path: Path, examples: Iterable[tuple[str, Example]], count: int) -> None:
    """Writes `count` utterances with their names one by one, so that memory stays flat.

    Raises:
        DataProblem: there is no utterance.
        StoreError: the disk cannot be written.
        OverflowError: a token or code exceeds the file's types.
    """
    if not count:
        raise DataProblem("the data set has no utterances", "add some, and pack the folder again")
    index = np.zeros(count, dtype=INDEX)
    rows, end_has_codes = 0, False
    with durable_file(path) as temporary, temporary.open("wb") as file:
        file.seek(HEADER_BYTES + index.nbytes)
        for number, (name, example) in enumerate(examples):
            part = _part(example)
            rows, end_has_codes = len(example.tokens), example.end_has_codes
            index[number] = (mark_of(name), example.length, example.text_length, zlib.crc32(part))
            file.write(part)
        header = _Header(
            format=FORMAT,
            utterances=count,
            rows=rows,
            end_has_codes=end_has_codes,
            index_crc32=zlib.crc32(index.tobytes()),
        )
        file.seek(0)
        file.write(header.model_dump_json().encode().ljust(HEADER_BYTES) + index.tobytes())


def _part(example: Example) -> bytes:
    """The body of one utterance."""
    row_0 = _narrowed(example.tokens[0], TOKEN)
    codes = _narrowed(example.tokens[1:, example.text_length :], CODE)
    part = row_0.tobytes() + codes.tobytes()
    return part.ljust(_aligned(len(part)), b"\0")


def _narrowed(
    values: npt.NDArray[np.int64], kind: np.dtype[np.unsignedinteger]
) -> npt.NDArray[np.unsignedinteger]:
    narrow = values.astype(kind)
    if not np.array_equal(narrow, values):
        raise OverflowError(f"the ids of an utterance do not fit {kind}")
    return narrow


def _size_bytes(
    rows: int, lengths: npt.NDArray[np.int64], text_lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Bytes of each utterance in the body."""
    codes = (rows - 1) * (lengths - text_lengths)
    return (
        (lengths * TOKEN.itemsize + codes * CODE.itemsize + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    )


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT
