"""What is wrong with the numbers of a run.

CostError
├── ScheduleError         steps, batches and cadences that do not fit each other or the data
├── EarlyStoppingError    a patience or min_delta that no rule can have
├── EstimateError         seconds, bytes or dollars that are negative, no number, or absurd
├── OverBudget            refused: the run would cost more than the budget
└── UnknownAccelerator    a GPU name that the table does not have
"""


class CostError(ValueError):
    """Says in `message` what is wrong, in one sentence, and in `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ScheduleError(CostError):
    """A schedule that cannot be followed."""


class EarlyStoppingError(CostError):
    """An early-stopping rule that cannot be obeyed."""


class EstimateError(CostError):
    """An estimate that cannot be made from these numbers."""


class OverBudget(CostError):
    """The run would cost more than you allowed."""


class UnknownAccelerator(CostError):
    """An accelerator whose memory and speed are not known."""
