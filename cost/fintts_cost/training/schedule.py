"""The schedule of steps: epochs, batches, validation checks and checkpoints.

The estimate and the trainer share this class, so they always agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.checks import require_count
from fintts_cost.errors import ScheduleError

if TYPE_CHECKING:
    from collections.abc import Sequence


class EpochRow(NamedTuple):
    """The steps of one epoch within the run; number and steps count from 1."""

    number: int
    first_step: int
    last_step: int
    partial: bool
    """the run ends before the epoch does"""

    @property
    def steps(self) -> int:
        """The number of steps of this epoch in the run."""
        return self.last_step - self.first_step + 1


@dataclass(frozen=True, slots=True)
class Schedule:
    """The cadence of a run over a data set.

    Raises:
        ScheduleError: a number is not positive, or a step needs more samples than there are.
    """

    samples: int
    """utterances to train on"""
    batch_size: int = 8
    gradient_accumulation: int = 1
    max_steps: int = 3000
    validation_every: int = 100
    """steps"""
    checkpoint_every: int = 100
    """steps"""

    def __post_init__(self) -> None:
        require_count(ScheduleError, "--samples", self.samples)
        require_count(ScheduleError, "--batch-size", self.batch_size)
        require_count(ScheduleError, "--gradient-accumulation", self.gradient_accumulation)
        require_count(ScheduleError, "--max-steps", self.max_steps)
        require_count(ScheduleError, "--validation-every", self.validation_every)
        require_count(ScheduleError, "--checkpoint-every", self.checkpoint_every)
        if self.samples_per_step > self.samples:
            raise ScheduleError(
                f"{self._step_in_words()}, more than the {self.samples:,} in the data set",
                f"make it at most {self.samples:,}, or add data",
            )

    def _step_in_words(self) -> str:
        if self.gradient_accumulation == 1:
            return f"--batch-size is {self.batch_size:,} samples"
        return (
            f"--batch-size {self.batch_size:,} × --gradient-accumulation "
            f"{self.gradient_accumulation:,} is {self.samples_per_step:,} samples"
        )

    @property
    def samples_per_step(self) -> int:
        """Samples of a full step; the last step of an epoch takes the rest."""
        return self.batch_size * self.gradient_accumulation

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the data set, including a smaller last one."""
        return -(-self.samples // self.samples_per_step)

    @property
    def steps_per_epoch_by_ratio(self) -> Decimal:
        """samples / samples_per_step, as if the last step were a fraction: 62.5 for 2000 / 32."""
        return Decimal(self.samples) / self.samples_per_step

    def position(self, step: int) -> tuple[int, int]:
        """(epoch, step in it), both from 0, after `step` steps."""
        return divmod(step, self.steps_per_epoch)

    def epochs(self, steps: int) -> Decimal:
        """Passes over the data set in these steps: 11.2 for 2800 steps of 250 an epoch."""
        return Decimal(steps) / self.steps_per_epoch

    def samples_seen(self, steps: int) -> int:
        """Samples in these steps; a smaller last step of an epoch counts with its real size."""
        epoch, step_in_epoch = self.position(steps)
        # Within an epoch every step is full: only the last one is smaller.
        return epoch * self.samples + step_in_epoch * self.samples_per_step

    def is_validation(self, step: int) -> bool:
        """Whether a validation check follows this step; none follows step 0."""
        return step > 0 and step % self.validation_every == 0

    def is_checkpoint(self, step: int) -> bool:
        """Whether a checkpoint follows this step."""
        return step > 0 and step % self.checkpoint_every == 0

    def validation_checks(self, steps: int) -> int:
        """The number of validation checks in these steps."""
        return steps // self.validation_every

    def checkpoints(self, steps: int) -> int:
        """The number of checkpoints of a run that ends after these steps; it ends with one."""
        return -(-steps // self.checkpoint_every)

    def last_checkpoints(self, steps: int, count: int) -> Sequence[int]:
        """The steps of the last `count` checkpoints, in order."""
        regular = range(self.checkpoint_every, steps + 1, self.checkpoint_every)
        if steps % self.checkpoint_every == 0:
            return regular[-count:]
        return (*regular[max(0, len(regular) - count + 1) :], steps)

    def epochs_begun(self, steps: int) -> int:
        """The number of rows in the table of epochs."""
        return -(-steps // self.steps_per_epoch)

    def epoch_row(self, number: int, steps: int) -> EpochRow:
        """The row of epoch `number`, from 1, in a run of these steps."""
        first = (number - 1) * self.steps_per_epoch + 1
        whole = number * self.steps_per_epoch
        return EpochRow(number, first, min(whole, steps), partial=steps < whole)

    def epoch_table(self, steps: int) -> list[EpochRow]:
        """All rows; they cover 1 … steps without gaps."""
        return [self.epoch_row(n, steps) for n in range(1, self.epochs_begun(steps) + 1)]
