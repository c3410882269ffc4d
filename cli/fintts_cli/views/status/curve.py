"""Plots a series of values in a few lines of text."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from fintts_store.runs.limits import VALUE

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
LEVELS = len(BLOCKS) - 1


def plot(
    points: Sequence[tuple[int, float]],
    *,
    width: int = 64,
    height: int = 8,
    stretched: bool = False,
) -> list[str]:
    """Columns of blocks, with the highest and lowest value at the side.

    Args:
        stretched: whether fewer points than columns are joined by straight lines.
        points: (step, value), sorted by step; values that are not finite, or huge, are left out.
            Points that fall into one column are averaged.
    """
    finite = [(step, value) for step, value in points if abs(value) <= VALUE]
    if len(finite) < 2:
        return []
    columns = _between(finite, width) if stretched else _columns(finite, width)
    shown = [value for _, value in finite] if stretched else columns
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    # The lowest value keeps one eighth of a block, so that no column looks empty.
    filled = [1 + round((value - low) / span * (height * LEVELS - 1)) for value in columns]
    rows = [_row(filled, height - 1 - number) for number in range(height)]
    labels = [f"{high:.4f}", *[""] * (height - 2), f"{low:.4f}"]
    margin = max(len(label) for label in labels)
    lines = [f"{label:>{margin}} ┤{row}".rstrip() for label, row in zip(labels, rows, strict=True)]
    first, last = f"step {finite[0][0]}", f"step {finite[-1][0]}"
    gap = " " * max(len(columns) - len(first) - len(last), 1)
    return [*lines, f"{'':>{margin}}  {first}{gap}{last}"]


def _between(points: Sequence[tuple[int, float]], width: int) -> list[float]:
    """A value for each column, on straight lines between the points."""
    if len(points) >= width:
        return _columns(points, width)
    first, last = points[0][0], points[-1][0]
    steps = [first + (last - first) * place / (width - 1) for place in range(width)]
    columns: list[float] = []
    pairs, (left, right) = iter(pairwise(points)), (points[0], points[0])
    for step in steps:
        while step > right[0] and (following := next(pairs, None)) is not None:
            left, right = following
        share = (step - left[0]) / ((right[0] - left[0]) or 1)
        columns.append(left[1] + (right[1] - left[1]) * min(share, 1.0))
    return columns


def _columns(points: Sequence[tuple[int, float]], width: int) -> list[float]:
    """At most `width` averages over stretches of equal length; an empty one repeats the last."""
    first, last = points[0][0], points[-1][0]
    count = min(width, len(points))
    buckets: list[list[float]] = [[] for _ in range(count)]
    for step, value in points:
        place = (step - first) * count // (last - first + 1)
        buckets[place].append(value)
    columns: list[float] = []
    for bucket in buckets:
        columns.append(sum(bucket) / len(bucket) if bucket else columns[-1])
    return columns


def _row(filled: Sequence[int], above: int) -> str:
    """The row that has `above` rows below it."""
    return "".join(BLOCKS[min(max(eighths - above * LEVELS, 0), LEVELS)] for eighths in filled)
