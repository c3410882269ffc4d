"""Errors in the numbers of a run.

CostError
├── ScheduleError         steps, batches and cadences that do not fit each other or the data
├── EarlyStoppingError    an invalid patience or min_delta
├── EstimateError         seconds, bytes or dollars that are negative, not a number, or absurd
├── OverBudget            the run would cost more than the budget
└── UnknownAccelerator    a GPU name that is not in the table
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTION = re.compile(r"--[a-z]+(?:-[a-z]+)*")


class CostError(ValueError):
    """`message` says in one sentence what is wrong, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def renamed(self, names: Mapping[str, str]) -> Self:
        """The same error, with other names for the options that it mentions.

        Args:
            names: `--batch-size` → `training.batch_size (fintts.yaml:7)`.
        """

        def fitting(text: str) -> str:
            return _OPTION.sub(lambda option: names.get(option[0], option[0]), text)

        return type(self)(fitting(self.message), fitting(self.hint))


class ScheduleError(CostError):
    """The schedule is impossible."""


class EarlyStoppingError(CostError):
    """The early-stopping rule is invalid."""


class EstimateError(CostError):
    """These numbers do not allow an estimate."""


class OverBudget(CostError):
    """The run would cost more than you allowed."""


class UnknownAccelerator(CostError):
    """The accelerator's memory and speed are unknown."""
