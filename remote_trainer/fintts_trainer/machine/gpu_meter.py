"""Measures how busy the GPU is between two steps."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE_SECONDS = 1.0
"""a sample is itself an average over up to a second"""


class Sample(NamedTuple):
    """The state of a GPU at one moment."""

    utilisation: float
    """the share of the last moments in which it worked"""
    memory_bytes: int
    """its whole memory"""


@dataclass
class GpuMeter:
    """The mean of the samples since the last step."""

    _samples: list[Sample] = field(default_factory=list[Sample])
    _newest: dict[str, float] = field(default_factory=dict[str, float])

    def values(self) -> dict[str, float]:
        """The metrics of a step; one that is shorter than a sample repeats those of the step
        before. Empty on a CPU, and where the driver does not answer."""
        taken, self._samples = self._samples, []
        if taken:
            self._newest = {
                "gpu_utilisation": fmean(one.utilisation for one in taken),
                "gpu_memory_bytes": float(taken[-1].memory_bytes),
            }
        return self._newest

    def measure(
        self, sample: Callable[[], Sample | None], pause: Callable[[float], object]
    ) -> None:
        """Samples until there is no answer."""
        while (taken := sample()) is not None:
            self._samples.append(taken)
            pause(SAMPLE_SECONDS)


def start_measuring(sample: Callable[[], Sample | None]) -> GpuMeter:
    """A meter that samples in its own thread, until there is no answer."""
    meter = GpuMeter()
    pause = threading.Event().wait
    threading.Thread(
        target=meter.measure, args=(sample, pause), name="gpu meter", daemon=True
    ).start()
    return meter
