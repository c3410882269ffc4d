"""Measures the parts of a step's time, and how much of the device it uses."""

from __future__ import annotations

import resource
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Generator

StepPart = Literal["data", "forward", "loss", "backward", "exchange", "optimizer"]

MEASURED_EVERY = 10
"""steps, on a GPU: measuring waits for each part, which loses the overlap with the CPU"""

PEAK_SIZES = {"cpu": 1024, "cuda": 8192}
PEAK_ROUNDS = 5


class StepClock:
    """Seconds by part of a step; on a GPU, of every tenth step."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds: dict[str, float] = {}
        self._is_measured = False

    def begin(self, step: int) -> None:
        """Forgets the last step, and decides whether this one is measured."""
        self._seconds = {}
        self._is_measured = self._device.type == "cpu" or step % MEASURED_EVERY == 0

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by part since `begin`; empty if this step is not measured."""
        return dict(self._seconds)

    @contextmanager
    def part(self, name: StepPart) -> Generator[None]:
        """Counts the block for a part, with all the work that it queued on the device."""
        if not self._is_measured:
            yield
            return
        start = time.perf_counter()
        yield
        synchronize(self._device)
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    """Waits until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@torch.no_grad()
def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of a few large matrix products: the device's measured peak.

    A run reports its useful FLOPs per second divided by this as its utilisation, which is valid on
    any device, with its current threads and clock rate.
    """
    size = PEAK_SIZES.get(device.type, PEAK_SIZES["cpu"])
    matrix = torch.ones(size, size, dtype=dtype, device=device)
    fastest = float("inf")
    for _ in range(PEAK_ROUNDS + 1):  # the first one is a warm-up
        synchronize(device)
        start = time.perf_counter()
        torch.mm(matrix, matrix)
        synchronize(device)
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * size**3 / fastest


def memory_peak_bytes(device: torch.device) -> int:
    """The highest memory use so far: the GPU's, or on a CPU the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
