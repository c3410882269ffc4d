"""The early-stopping rule, which estimate and trainer share.

Each validation check compares the value with the last one that counted. A value counts if it is
better by more than min_delta; one that is not finite never counts. The run stops at the
`patience`-th check in a row that does not count. The best value need not count: a checkpoint that
is better by less than min_delta is still the one to keep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from fintts_cost.checks import require_count
from fintts_cost.errors import EarlyStoppingError

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["min", "max"]


class Progress(NamedTuple):
    """The rule's state between two checks, saved in every checkpoint."""

    best_value: float | None = None
    best_step: int | None = None
    checks_without_improvement: int = 0
    """in a row, so far"""
    checks: int = 0
    counted_value: float | None = None
    """the last value better by more than min_delta, which the next is compared with"""

    @classmethod
    def start(cls) -> Progress:
        """The state before the first check."""
        return cls()

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain values for JSON; floats survive the round trip bit for bit."""
        return self._asdict()

    @classmethod
    def from_dict(cls, content: Mapping[str, object]) -> Progress:
        """The inverse of `to_dict`.

        Raises:
            EarlyStoppingError: a value is missing or not a number.
        """
        return cls(
            best_value=_number(content, "best_value"),
            best_step=None if content.get("best_step") is None else _count(content, "best_step"),
            checks_without_improvement=_count(content, "checks_without_improvement"),
            checks=_count(content, "checks"),
            counted_value=_number(content, "counted_value"),
        )


def _number(content: Mapping[str, object], key: str) -> float | None:
    value = content.get(key)
    if value is None:
        return None
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    raise EarlyStoppingError(
        f"the early-stopping state has {key} {value!r}, which is not a finite number",
        "resume from another checkpoint",
    )


def _count(content: Mapping[str, object], key: str) -> int:
    value = content.get(key)
    if isinstance(value, int) and value >= 0:
        return value
    raise EarlyStoppingError(
        f"the early-stopping state has {key} {value!r}, which is no count",
        "resume from another checkpoint",
    )


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """The rule; pure, so that a resumed run decides like an uninterrupted one.

    Raises:
        EarlyStoppingError: patience is below 1, or min_delta is negative or not finite.
    """

    mode: Mode = "min"
    patience: int = 5
    """validation checks, not steps"""
    min_delta: float = 0.0
    """how much better a value must be to count, in the units of the value"""

    def __post_init__(self) -> None:
        require_count(EarlyStoppingError, "--patience", self.patience)
        if not (math.isfinite(self.min_delta) and self.min_delta >= 0):
            raise EarlyStoppingError(
                f"min_delta must be a finite number of at least 0, but is {self.min_delta}",
                "0 counts every improvement, however small",
            )

    def start(self) -> Progress:
        """The state before the first check."""
        return Progress.start()

    def check(self, progress: Progress, step: int, value: float) -> Progress:
        """The progress after a validation check at this step."""
        counts = self.improves(value, progress.counted_value)
        is_best = self._is_better(value, progress.best_value, by_more_than=0.0)
        return Progress(
            best_value=float(value) if is_best else progress.best_value,
            best_step=step if is_best else progress.best_step,
            checks_without_improvement=0 if counts else progress.checks_without_improvement + 1,
            checks=progress.checks + 1,
            counted_value=float(value) if counts else progress.counted_value,
        )

    def improves(self, value: float, counted: float | None) -> bool:
        """Whether the value is finite and better by over min_delta than the last that counted."""
        return self._is_better(value, counted, by_more_than=self.min_delta)

    def _is_better(self, value: float, other: float | None, *, by_more_than: float) -> bool:
        if not math.isfinite(value):
            return False
        if other is None:
            return True
        gain = other - value if self.mode == "min" else value - other
        return gain > by_more_than

    def should_stop(self, progress: Progress) -> bool:
        """Whether the run must stop."""
        return progress.checks_without_improvement >= self.patience

    def earliest_stop_step(self, validation_every: int) -> int:
        """The first step at which the rule can fire: the first check, and `patience` more."""
        return (self.patience + 1) * validation_every
