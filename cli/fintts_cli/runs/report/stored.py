"""Reads numbers of a stored estimate: input from outside, maybe from an earlier version."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from fintts_store.runs.limits import COUNT, SECONDS, USD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue


class Range(NamedTuple):
    """Low, likely and high."""

    low: float
    likely: float
    high: float

    def to_json(self) -> dict[str, float]:
        """The three by name."""
        return self._asdict()


def number(content: JsonValue, *path: str, most: float) -> float | None:
    """The number at a path; None where there is none from 0 to `most`."""
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    if not isinstance(content, int | float) or isinstance(content, bool):
        return None
    return float(content) if math.isfinite(content) and 0 <= content <= most else None


def seconds(content: Mapping[str, JsonValue], *path: str) -> float | None:
    """Seconds at a path."""
    return number(dict(content), *path, most=SECONDS)


def count(content: Mapping[str, JsonValue], *path: str) -> int | None:
    """A count at a path."""
    found = number(dict(content), *path, most=COUNT)
    return None if found is None or found != int(found) else int(found)


def span(content: Mapping[str, JsonValue], *path: str, most: float = USD) -> Range | None:
    """A range at a path, if it is whole and in order."""
    ends = [number(dict(content), *path, end, most=most) for end in Range._fields]
    known = [end for end in ends if end is not None]
    return Range(*known) if len(known) == len(ends) and known == sorted(known) else None
