"""The types of record fields, each with its limits."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue

from fintts_store import layout
from fintts_store.errors import InvalidKey, InvalidRunName
from fintts_store.runs import limits
from fintts_store.store import check_key, is_relative_name


def _run_name(text: str) -> str:
    try:
        return layout.check_run_name(text)
    except InvalidRunName as error:
        raise ValueError(error.message) from None


def _plain_name(name: str) -> str:
    if "/" in name or not is_relative_name(name):
        raise ValueError(f"{name!r} is not the name of a file in a folder")
    return name


def below(folder: str, ending: str = "") -> AfterValidator:
    """A key inside a folder of the store, or a prefix if it ends with `/`."""

    def check(place: str) -> str:
        try:
            check_key(place.removesuffix(ending))
        except InvalidKey as error:
            raise ValueError(error.message) from None
        if not place.startswith(folder) or not place.endswith(ending):
            raise ValueError(f"{place!r} is not in {folder}")
        return place

    return AfterValidator(check)


def _moment(when: datetime) -> datetime:
    if not limits.FIRST_MOMENT <= when < limits.LAST_MOMENT:
        raise ValueError("it is not a moment from the years 1970 to 2199")
    return when


def _few_digits(amount: Decimal) -> Decimal:
    _, digits, exponent = amount.as_tuple()
    if len(digits) > limits.DECIMAL_DIGITS or exponent not in limits.DECIMAL_EXPONENTS:
        raise ValueError("it has too many digits")
    return amount


def _known(value: float | None) -> float | None:
    return None if value is None or not abs(value) <= limits.VALUE else value


def _cut(text: str) -> str:
    shown = text[: limits.MESSAGE_CHARACTERS]
    return shown if shown == text else f"{shown}…"


def _small(content: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if sum(1 for _ in _nodes(content)) > limits.JSON_NODES:
        raise ValueError(f"it has more than {limits.JSON_NODES:,} values")
    return content


def _nodes(content: JsonValue) -> Iterator[JsonValue]:
    left = [content]
    while left:
        node = left.pop()
        yield node
        if isinstance(node, dict):
            left += node.values()
        elif isinstance(node, list):
            left += node


RunName = Annotated[str, Field(max_length=limits.NAME_CHARACTERS), AfterValidator(_run_name)]
PlainName = Annotated[str, Field(max_length=limits.NAME_CHARACTERS), AfterValidator(_plain_name)]
"""A file's name that cannot lead out of the folder where the file is written"""
Name = Annotated[str, Field(max_length=limits.NAME_CHARACTERS)]
Place = Annotated[str, Field(max_length=limits.NAME_CHARACTERS)]
Message = Annotated[str, AfterValidator(_cut)]

Moment = Annotated[AwareDatetime, AfterValidator(_moment)]
Step = Annotated[int, Field(ge=0, le=limits.STEPS)]
Claim = Annotated[int, Field(ge=0, le=limits.CLAIMS)]
Launch = Annotated[int, Field(ge=1, le=limits.LAUNCHES)]
Count = Annotated[int, Field(ge=0, le=limits.COUNT)]
SizeBytes = Annotated[int, Field(ge=0, le=limits.FILE_BYTES)]
Seconds = Annotated[float, Field(ge=0, le=limits.SECONDS, allow_inf_nan=False)]
Quantity = Annotated[float, Field(ge=0, le=limits.VALUE, allow_inf_nan=False)]
"""Any other measured quantity"""
Value = Annotated[float | None, AfterValidator(_known)]
"""A loss, or another monitored value; None if it is missing or not a number"""
HourlyRate = Annotated[Decimal, Field(ge=0, le=limits.HOURLY_RATE_USD), AfterValidator(_few_digits)]
Usd = Annotated[Decimal, Field(ge=0, le=limits.USD), AfterValidator(_few_digits)]
SmallJson = Annotated[dict[str, JsonValue], AfterValidator(_small)]
