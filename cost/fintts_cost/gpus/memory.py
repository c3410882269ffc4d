"""GPU memory of a batch: computed from parts, or calibrated with a measured peak."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fintts_cost.checks import MAX_BYTES, require_count
from fintts_cost.errors import EstimateError


@dataclass(frozen=True, slots=True)
class MemoryModel:
    """A fixed part and a part per sample of a batch; decimal bytes."""

    weights_bytes: int
    """the frozen base model"""
    adapter_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    sample_bytes: int
    """features and activations of one sample"""
    calibrated: bool = False
    """sample_bytes follows from a measured peak"""

    @property
    def fixed_bytes(self) -> int:
        """The memory of an empty batch."""
        return self.weights_bytes + self.adapter_bytes + self.gradient_bytes + self.optimizer_bytes

    def batch_bytes(self, batch_size: int) -> int:
        """Features and activations of a batch."""
        return batch_size * self.sample_bytes

    def total_bytes(self, batch_size: int) -> int:
        """The memory at the peak of a step."""
        return self.fixed_bytes + self.batch_bytes(batch_size)

    def micro_batches(self, batch_size: int, memory_bytes: int) -> int | None:
        """The fewest equal parts of a batch of which each fits; None if one sample does not."""
        room = memory_bytes - self.fixed_bytes
        most = batch_size if self.sample_bytes == 0 else room // self.sample_bytes
        return None if room < 0 or most < 1 else -(-batch_size // min(most, batch_size))

    def calibrate(self, peak_bytes: int, batch_size: int) -> MemoryModel:
        """The model with the measured peak as its total at this batch size.

        Assumes that everything above the fixed part grows with the batch.

        Raises:
            EstimateError: the peak is below the fixed part, or a number is absurd.
        """
        require_count(EstimateError, "the measured peak", peak_bytes, MAX_BYTES)
        require_count(EstimateError, "--batch-size", batch_size)
        if peak_bytes <= self.fixed_bytes:
            raise EstimateError(
                f"the measured peak of {peak_bytes:,} bytes is not above the "
                f"{self.fixed_bytes:,} bytes of weights, gradients and optimizer",
                "measure the peak during a training step",
            )
        sample_bytes = round((peak_bytes - self.fixed_bytes) / batch_size)
        return replace(self, sample_bytes=sample_bytes, calibrated=True)


@dataclass(frozen=True, slots=True)
class MeasuredPeak:
    """The highest memory use measured, and its batch size."""

    peak_bytes: int
    batch_size: int
