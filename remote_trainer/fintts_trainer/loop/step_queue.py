"""Steps that are queued on the device, until their losses have been read."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_trainer.data.feed import StepData
    from fintts_trainer.machine.readings import Readings

ON_A_GPU = 1
"""step that a GPU may be behind: reading the losses of the newest would leave it without work"""


@dataclass(frozen=True, slots=True)
class QueuedStep:
    """A step whose work is on its way through the device.

    Attributes:
        number: finished steps before it.
        data: its batch.
        readings: token loss, code loss, and the norm of the gradient before clipping.
        rate: the learning rate.
        waited_seconds: for its data.
        parts: seconds by part, if this step was measured.
        began: seconds of training before it.
    """

    number: int
    data: StepData
    readings: Readings
    rate: float
    waited_seconds: float
    parts: dict[str, float]
    began: float


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """The mean losses over a step's batch, in nats, the norm of its gradient, and its time."""

    queued: QueuedStep
    token_loss: float
    code_loss: float
    """0 without a second network"""
    norm: float
    seconds: float

    @property
    def loss(self) -> float:
        """The sum of both heads."""
        return self.token_loss + self.code_loss

    @property
    def is_finite(self) -> bool:
        """Whether loss and gradient are."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)

    def losses(self) -> dict[str, float]:
        """The losses by name, without the code loss for a model without a second network."""
        values = {"loss": self.loss, "token_loss": self.token_loss}
        return {**values, "code_loss": self.code_loss} if self.queued.data.code_count else values


class StepQueue:
    """Queued steps, oldest first."""

    def __init__(self, most_unread: int, spent: Callable[[], float]) -> None:
        """Lets the device be `most_unread` steps behind; `spent` gives the seconds of training."""
        self.most_unread, self.spent = most_unread, spent
        self._steps: deque[QueuedStep] = deque()
        self._finished = -math.inf
        """seconds of training when the last step was finished"""
        self._was_waited_for = True
        """whether the device was still at that step when its numbers were read"""

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: QueuedStep) -> None:
        """Adds the newest step."""
        self._steps.append(step)

    def clear(self) -> None:
        """Forgets all steps."""
        self._steps.clear()

    def wait(self) -> None:
        """Waits until the device has finished the oldest step."""
        readings = self._steps[0].readings
        self._was_waited_for = not readings.are_there
        readings.read()

    def pop(self) -> FinishedStep:
        """Takes the oldest step out. It took the time since it began, or since the one before it
        was finished, if that was later."""
        step = self._steps.popleft()
        token_loss, code_loss, norm = step.readings.read()
        began = max(step.began, self._finished)
        self._finished = self._end_of_oldest(began)
        return FinishedStep(step, token_loss, code_loss, norm, self._finished - began)

    def _end_of_oldest(self, began: float) -> float:
        """When the step just taken out was finished: now, unless the device had already finished it
        while the CPU queued the next one, which then took the time since that one began."""
        next_began = self._steps[0].began if self._steps else began
        is_earlier = not self._was_waited_for and next_began > began
        return next_began if is_earlier else self.spent()
