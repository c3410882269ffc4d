"""Reads what a seller's API says: input from outside, of any shape."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from fintts_cli.errors import CloudError
from fintts_cost.prices.offer import amount
from fintts_store.output.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST = 200
"""characters of a name, an id or a status"""


def records(answer: object) -> Sequence[Mapping[str, object]]:
    """The answer as a list of objects.

    Raises CloudError: it is something else, so it is unknown which instances exist.
    """
    found = cast("list[object]", answer) if isinstance(answer, list) else [answer]
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in found):
        raise CloudError("the seller's list of instances cannot be read")
    return cast("list[Mapping[str, object]]", found)


def word(one: Mapping[str, object], key: str) -> str:
    """A short text; empty if there is none. A Vast instance without a label has None."""
    value = one.get(key)
    return "" if value is None else one_line(str(value)[:LONGEST])


def moment(value: object) -> datetime | None:
    """A time in ISO 8601 or in seconds since the epoch; None for anything else."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def field(answer: object, name: str) -> object:
    """A field of an answer; None if there is none."""
    return cast("dict[str, object]", answer).get(name) if isinstance(answer, dict) else None


def left_usd(title: str, said: object) -> Decimal:
    """A balance; a debt counts as 0.

    Raises CloudError: it is no amount.
    """
    if isinstance(said, int | float) and said <= 0:
        return Decimal(0)
    found = amount(said) if isinstance(said, str | int | float) else None
    if found is None:
        raise CloudError(f"{title} gave no amount for the balance of your account")
    return found
