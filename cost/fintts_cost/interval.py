"""A forecast as three numbers: the low end, the likely value and the high end.

They are floats, since a forecast is right to two digits at best.
"""

from __future__ import annotations

from typing import NamedTuple, Self


class Interval(NamedTuple):
    """About 80 % of the cases lie within it."""

    low: float
    likely: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Self:
        """A known number."""
        return cls(value, value, value)

    @property
    def is_exact(self) -> bool:
        """Whether the number is known."""
        return self.low == self.high

    def times(self, factor: float) -> Interval:
        """All three multiplied by a factor of at least 0."""
        return Interval(*(each * factor for each in self))

    def plus(self, addend: float) -> Interval:
        """All three with a known number added."""
        return Interval(*(each + addend for each in self))

    def to_json(self) -> dict[str, float]:
        """For a JSON document."""
        return self._asdict()
