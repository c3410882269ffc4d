"""Which earlier values a repetition penalty looks at."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor

FRAMES = 16

Recent = Callable[[Tensor, int], Tensor | None]
"""(columns so far [rows, n], row) → the values whose scores are lowered; None for none"""


def own_row(columns: Tensor, row: int) -> Tensor | None:
    """The last values of the same row."""
    return columns[row, -FRAMES:] if columns.shape[1] else None


def as_fish_s1(columns: Tensor, row: int) -> Tensor | None:
    """The values that S1's server looks at.

    It ignores the first frame, counts what is not there yet as zeros, and for row 0 takes all rows
    of the oldest frame as if they were tokens.
    """
    window = _zero_padded(columns)
    if window is None:
        return None
    return window[:, 0] if row == 0 else window[row]


def as_fish_1_5(columns: Tensor, row: int) -> Tensor | None:
    """The same in 1.5's server, whose row 0 looks at row 0."""
    window = _zero_padded(columns)
    return None if window is None else window[row]


def _zero_padded(columns: Tensor) -> Tensor | None:
    if not columns.shape[1]:
        return None
    last = columns[:, 1:][:, -FRAMES:]
    return F.pad(last, (0, FRAMES - last.shape[1]))
