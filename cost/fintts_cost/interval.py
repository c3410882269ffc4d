"""A forecast as three numbers: the low end, the likely value and the high end."""

from __future__ import annotations

from typing import NamedTuple, Self

Number = float
"""Forecasts need no decimals: they are right to two digits at best."""


class Interval(NamedTuple):
    """About 80 % of the cases lie within it."""

    low: Number
    likely: Number
    high: Number

    @classmethod
    def exactly(cls, value: Number) -> Self:
        """A known number."""
        return cls(value, value, value)

    @property
    def is_exact(self) -> bool:
        """Whether the number is known."""
        return self.low == self.high

    def times(self, factor: Number) -> Interval:
        """All three multiplied by a factor of at least 0."""
        return Interval(*(each * factor for each in self))

    def to_json(self) -> dict[str, Number]:
        """As a document has it."""
        return self._asdict()
