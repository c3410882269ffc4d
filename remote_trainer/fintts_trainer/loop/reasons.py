"""Why a run ends at a step boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fintts_store.runs.records import StopReason

if TYPE_CHECKING:
    from fintts_trainer.loop.training import Training
    from fintts_trainer.session.preemption import Preemption

    Reason = StopReason | Literal["preempted"]

PREEMPTED: Literal["preempted"] = "preempted"
REASONS: tuple[Reason, ...] = (
    PREEMPTED,
    StopReason.REQUESTED,
    StopReason.DEADLINE,
    StopReason.FAILED,
    StopReason.MAX_STEPS,
    StopReason.EARLY_STOPPING,
)
"""reasons to end at a step boundary, in ascending order of precedence"""


def reason_to_end(training: Training, preemption: Preemption) -> Reason | None:
    """The reason to end at this step boundary, or None; all processes agree on it.

    Raises:
        StoreError: checkpoints can no longer be committed.
        PeerLost: another process has ended.
    """
    training.session.check_uploads()
    mine = own_reason_to_end(training, preemption)
    weight = 0 if mine is None else 1 + REASONS.index(mine)
    heaviest = training.world.highest(weight)
    return REASONS[heaviest - 1] if heaviest else None


def own_reason_to_end(training: Training, preemption: Preemption) -> Reason | None:
    """The reason known to this process; only the first one checks the clock and the user's
    request."""
    state = training.state
    if training.config.early_stopping.enabled and training.rule.should_stop(state.early_stopping):
        return StopReason.EARLY_STOPPING
    if state.step >= training.schedule.max_steps:
        return StopReason.MAX_STEPS
    if training.is_deaf:
        return StopReason.FAILED
    if training.gives_up:
        return StopReason.DEADLINE
    return external_reason(training, preemption)


def external_reason(training: Training, preemption: Preemption) -> Reason | None:
    """The reason from outside the training: the deadline, the user or a preemption."""
    next_has_check = training.schedule.is_validation(training.state.step + 1)
    asked = training.session.reason_to_end(has_check=next_has_check)
    if asked is not None:
        return asked
    return PREEMPTED if preemption.is_requested else None
