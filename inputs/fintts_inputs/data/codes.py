"""Reads a .npy file's codes, int64 [codebooks, frames], or says why not; unpickles nothing."""

from __future__ import annotations

import io
import math
import zipfile
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib import format as npy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

NO_NUMBERS = "is not a complete .npy file of numbers"
MOST_CODEBOOKS = 64
"""of any codec; known codecs have up to 32"""


def parse_codes(content: bytes) -> tuple[npt.NDArray[np.int64], str]:
    """(int64 [codebooks, frames], what is wrong) from a file's bytes."""
    nothing = np.zeros((0, 0), dtype=np.int64)
    stream = io.BytesIO(content)
    try:
        shape, is_fortran, dtype = _read_header(stream)
    except Exception:  # NumPy parses headers as Python, so tokenizer errors can surface
        is_archive = zipfile.is_zipfile(stream)
        return nothing, "is an archive, not a .npy file" if is_archive else NO_NUMBERS
    start = stream.tell()
    if fault := _wrong_header(shape, dtype, len(content) - start):
        return nothing, fault
    numbers: npt.NDArray[np.generic] = np.frombuffer(content, dtype, math.prod(shape), start)
    codes = numbers.reshape(shape, order="F" if is_fortran else "C")
    fault = _wrong_codes(codes)
    return (nothing, fault) if fault else (codes.astype(np.int64), "")


def _read_header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """(shape, whether in Fortran order, type). Version 3 is only for records with named fields,
    which are not codes."""
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    return readers[npy.read_magic(stream)](stream)


def _wrong_header(shape: tuple[int, ...], dtype: np.dtype[np.generic], there_bytes: int) -> str:
    if dtype.hasobject:
        return "contains Python objects, which are not loaded; save the codes as integers"
    if dtype.kind not in "iu":
        return f"holds {dtype} instead of integers"
    if any(size < 0 for size in shape):
        return NO_NUMBERS
    announced_bytes = math.prod(shape) * dtype.itemsize
    if announced_bytes > there_bytes:
        return f"is truncated: it has {there_bytes:,} of the {announced_bytes:,} bytes of its codes"
    if announced_bytes < there_bytes:
        return "has data after its array"
    if len(shape) != 2:
        return f"has {len(shape)} dimensions instead of two, [codebooks, frames]"
    return f"is empty: {list(shape)}" if 0 in shape else ""


def _wrong_codes(codes: npt.NDArray[np.generic]) -> str:
    if bool(codes.min() < 0):
        return f"has the negative code {codes.min()}"
    # Without a base model there is no other bound, and a pack stores int32.
    beyond = bool(codes.max() > np.iinfo(np.int32).max)
    return f"holds the code {codes.max()}, which is too large for any codebook" if beyond else ""


def transposed(shape: tuple[int, ...], codebooks: int) -> str:
    """The problem of an array [frames, codebooks]; empty for any other array."""
    first, second = shape
    if first == codebooks or second != codebooks:
        return ""
    return (
        f"is transposed: it is [{first} frames, {second} codebooks], but must be [codebooks, "
        "frames]; save codes.T instead"
    )


def usual_codebooks(shapes: Sequence[tuple[int, int]]) -> int:
    """The number of codebooks in a folder's arrays, in either orientation: frames differ between
    arrays, codebooks do not."""
    first, second = Counter(a for a, _ in shapes), Counter(b for _, b in shapes)
    row, by_row = max(first.items(), key=lambda item: item[1], default=(0, 0))
    column, by_column = max(second.items(), key=lambda item: item[1], default=(0, 0))
    is_none_a_row = by_row == by_column and row > MOST_CODEBOOKS >= column
    return column if by_column > by_row or is_none_a_row else row
