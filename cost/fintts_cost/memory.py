"""GPU memory of a batch: computed from parts, or calibrated with a peak that was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fintts_cost.checks import MAX_BYTES, require_count
from fintts_cost.errors import EstimateError


@dataclass(frozen=True, slots=True)
class MemoryModel:
    """A fixed part and a part for each sample of a batch; decimal bytes."""

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
        """What an empty batch would take."""
        return self.weights_bytes + self.adapter_bytes + self.gradient_bytes + self.optimizer_bytes

    def batch_bytes(self, batch_size: int) -> int:
        """Features and activations of a batch."""
        return batch_size * self.sample_bytes

    def total_bytes(self, batch_size: int) -> int:
        """All that the GPU holds at the peak of a step."""
        return self.fixed_bytes + self.batch_bytes(batch_size)

    def calibrate(self, peak_bytes: int, batch_size: int) -> MemoryModel:
        """The model whose total at this batch size is the measured peak.

        What lies above the fixed part is taken to grow with the batch; nothing else is known.

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
    """The most memory that was seen in use, and the batch size that it was seen with."""

    peak_bytes: int
    batch_size: int
