"""What the rules about senseless settings look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fintts_inputs.config import MEASURED_BY

if TYPE_CHECKING:
    from fintts_cli.settings.model import Settings


class Facts(NamedTuple):
    """The facts that the rules check."""

    settings: Settings
    samples: int | None = None
    """the number of utterances to train on; None if not counted"""
    width: int | None = None
    """the width of the narrowest adapted matrix; None without a base model"""

    @property
    def max_steps(self) -> int:
        """The last step."""
        return self.settings.training.max_steps

    @property
    def earliest_stop(self) -> int:
        """The first step at which early stopping can end the run: the first check sets the best."""
        return (self.settings.early_stopping.patience + 1) * self.settings.validation.every

    @property
    def has_checks(self) -> bool:
        """Whether the run has any validation check."""
        return self.settings.validation.every <= self.max_steps

    @property
    def reached_rate(self) -> float:
        """The highest learning rate of the run."""
        training = self.settings.training
        return training.learning_rate * min(1.0, self.max_steps / max(training.warmup_steps, 1))

    @property
    def most_move(self) -> float:
        """About how far Adam can move a number in the whole run, at most."""
        return self.reached_rate * self.max_steps

    @property
    def scale(self) -> float:
        """alpha / rank"""
        return self.settings.lora.alpha / self.settings.lora.rank

    @property
    def epochs(self) -> float:
        """The number of passes over the data; 0 if the number of utterances is unknown."""
        training = self.settings.training
        step = training.batch_size * training.gradient_accumulation
        return self.max_steps * step / self.samples if self.samples else 0.0

    @property
    def measured_by(self) -> str:
        """The setting that names the model for the monitored value; empty for another monitor."""
        kind = MEASURED_BY.get(self.settings.early_stopping.monitor)
        return "" if kind is None else f"eval.{kind}"

    @property
    def measuring(self) -> str:
        """The settings that name a model which measures."""
        return ", ".join(f"eval.{kind}" for kind in self.settings.eval.kinds)

    @property
    def is_measured(self) -> bool:
        """Whether samples are spoken and measured for the monitored value."""
        kind = MEASURED_BY.get(self.settings.early_stopping.monitor)
        return self.settings.samples.is_on and kind in self.settings.eval.kinds

    @property
    def loses_best(self) -> bool:
        """Whether rotation has removed the best checkpoint by the time the run stops."""
        one = self.settings
        behind = one.early_stopping.patience * one.validation.every
        return not one.checkpoints.keep_best and (
            one.checkpoints.keep_last * one.checkpoints.every <= behind
        )
