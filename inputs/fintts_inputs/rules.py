"""The schedule and the early stopping of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cost.training.early_stopping import EarlyStopping
from fintts_cost.training.schedule import Schedule

if TYPE_CHECKING:
    from fintts_inputs.config import RunConfig


def schedule_of(config: RunConfig, samples: int) -> Schedule:
    """Epochs, checks and checkpoints of a run over that many training utterances."""
    return Schedule(
        samples=samples,
        batch_size=config.training.batch_size,
        gradient_accumulation=config.training.gradient_accumulation,
        max_steps=config.training.max_steps,
        validation_every=config.validation.every,
        checkpoint_every=config.checkpoints.every,
    )


def rule_of(config: RunConfig) -> EarlyStopping:
    """The rule that finds the best step, and stops the run if it is enabled."""
    stopping = config.early_stopping
    return EarlyStopping(
        mode=stopping.mode, patience=stopping.patience, min_delta=stopping.min_delta
    )
