"""Reads numbers of a stored estimate: input from outside, maybe from an earlier version."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cost.interval import Interval
from fintts_store.runs.limits import COUNT, SECONDS, USD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from fintts_store.runs.run_record import RentalRef, RunRecord


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


def span(content: Mapping[str, JsonValue], *path: str, most: float = USD) -> Interval | None:
    """A range at a path, if it is whole and in order."""
    ends = [number(dict(content), *path, end, most=most) for end in Interval._fields]
    known = [end for end in ends if end is not None]
    return Interval(*known) if len(known) == len(ends) and known == sorted(known) else None


def steps_per_epoch(record: RunRecord) -> int | None:
    """Steps of one pass over the data."""
    return count(record.estimate, "steps_per_epoch") or None


def rental_of(record: RunRecord, gpus: str) -> RentalRef:
    """The plan for the GPU that the run got; for the first GPU if that is unknown."""
    return next((each for each in record.rentals if each.gpus == gpus), record.rentals[0])


def teardown_seconds(record: RunRecord, gpus: str) -> float:
    """From the end of the trainer until the instance is gone; 0 in records of earlier versions."""
    return seconds(rental_of(record, gpus).estimate, "teardown_seconds") or 0.0


def estimated_usd(rental: RentalRef) -> Decimal | None:
    """The estimated cost of the whole run."""
    cost = number(rental.estimate.get("cost_usd"), most=USD)
    return None if cost is None else Decimal(str(cost))
