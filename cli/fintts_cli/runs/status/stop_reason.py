"""Why a run stopped, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fintts_store.runs.records import StopReason

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT: Mapping[StopReason, str] = {
    StopReason.MAX_STEPS: "all steps",
    StopReason.EARLY_STOPPING: "stopped early",
    StopReason.DEADLINE: "at its deadline",
    StopReason.REQUESTED: "on request",
    StopReason.NAN_LOSS: "loss is NaN",
    StopReason.FAILED: "failed",
}
"""For a table column, next to the phase."""


def how_it_stopped(
    reason: StopReason, step: int, *, patience: int | None = None, max_steps: int | None = None
) -> str:
    """The predicate of a sentence about the run: `stopped on request at step 120`.

    Args:
        patience: checks without improvement; None if unknown.
        max_steps: added after the step if given.
    """
    place = f"step {step}" if max_steps is None else f"step {step} of {max_steps}"
    match reason:
        case StopReason.MAX_STEPS:
            return f"completed all {step} steps"
        case StopReason.EARLY_STOPPING:
            return f"stopped early at {place}{_without_gain(patience)}"
        case StopReason.DEADLINE:
            return f"stopped at its deadline, at {place}"
        case StopReason.REQUESTED:
            return f"stopped on request at {place}"
        case StopReason.NAN_LOSS:
            return f"failed at {place}: the loss is NaN"
        case StopReason.FAILED:
            return f"failed at {place}"


def _without_gain(patience: int | None) -> str:
    if patience is None:
        return ""
    return f": no improvement in {patience} check{'' if patience == 1 else 's'}"


def patience_of(config: Mapping[str, object]) -> int | None:
    """The patience in a run's record; None if it has none, or never stops early."""
    stopping = config.get("early_stopping")
    if not isinstance(stopping, dict):
        return None
    rule = cast("dict[str, object]", stopping)
    patience = None if rule.get("enabled") is False else rule.get("patience")
    return patience if isinstance(patience, int) else None
