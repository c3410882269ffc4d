"""How many checkpoints a run writes, which of them stay, and their size on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.checks import MAX_BYTES, require_count
from fintts_cost.errors import EstimateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cost.training.schedule import Schedule

FLOAT32_BYTES = 4
VALUES_PER_PARAMETER = 3
"""the weight and Adam's two moments (Kingma & Ba 2014, arXiv:1412.6980)"""


class CheckpointStorage(NamedTuple):
    """Checkpoints of a run that keeps the last `keep_last`; decimal bytes.

    The best checkpoint, kept in addition to the last ones, may be one more: see `bytes_with_best`.
    """

    written: int
    kept_steps: Sequence[int]
    keep_last: int
    bytes_each: int

    @property
    def removed(self) -> int:
        """The number of checkpoints rotated away."""
        return self.written - len(self.kept_steps)

    @property
    def bytes_at_end(self) -> int:
        """The bytes of those that are kept."""
        return len(self.kept_steps) * self.bytes_each

    @property
    def bytes_at_peak(self) -> int:
        """One more than is kept, since a new one is complete before the oldest is removed."""
        return min(self.written, self.keep_last + 1) * self.bytes_each

    @property
    def bytes_with_best(self) -> int:
        """The peak if the best one is older than all others that are kept."""
        return min(self.written, self.keep_last + 2) * self.bytes_each

    @property
    def bytes_without_rotation(self) -> int:
        """The bytes if nothing were ever removed."""
        return self.written * self.bytes_each


def plan_storage(
    schedule: Schedule, stop_step: int, bytes_each: int, keep_last: int
) -> CheckpointStorage:
    """The checkpoints of a run that stops after `stop_step` steps.

    Raises:
        EstimateError: keep_last is below 1, or a size is negative or absurd.
    """
    require_count(EstimateError, "--keep-last", keep_last)
    require_count(EstimateError, "--checkpoint-bytes", bytes_each, MAX_BYTES, least=0)
    return CheckpointStorage(
        written=schedule.checkpoints(stop_step),
        kept_steps=schedule.last_checkpoints(stop_step, keep_last),
        keep_last=keep_last,
        bytes_each=bytes_each,
    )


def keep_last_loses_best(schedule: Schedule, *, patience: int, keep_last: int) -> bool:
    """Whether the last `keep_last` no longer hold the best when early stopping fires.

    The best is then patience × validation_every steps old: with patience 5, the last 5 kept, and
    both checks and checkpoints every 100 steps, exactly the best one is gone.
    """
    return patience * schedule.validation_every >= keep_last * schedule.checkpoint_every


def lora_checkpoint_bytes(parameters: int, bytes_per_value: int = FLOAT32_BYTES) -> int:
    """Bytes of an adapter with its optimizer state: 12 per parameter in float32.

    103 MB for the 8,595,456 parameters of OpenAudio S1-mini at rank 8; half of it in bfloat16.
    """
    return VALUES_PER_PARAMETER * bytes_per_value * parameters
