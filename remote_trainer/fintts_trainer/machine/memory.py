"""Estimates the memory of a step from two small trials, and measures the free memory.

Forward keeps about the same memory for each position, so two small steps predict a large one on
any device, with any kernels and options.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fintts_trainer.data.batches import collate
from fintts_trainer.machine.allocator import return_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from fintts_trainer.families.base import Example, Predictions

SPARE_SHARE = {"cuda": 0.1, "cpu": 0.5}
"""Share of the free memory that stays unused. torch counts a GPU's memory to the byte, but its
allocator leaves gaps; on a CPU, a large step took up to 1.7 times the predicted resident pages."""

PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
CLEAR_REFS, RESET_PEAK = PROC / "self" / "clear_refs", "5"
"""proc(5): resets VmHWM to VmRSS"""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """The memory of a micro-batch beyond model and optimizer, linear in its positions."""

    fixed_bytes: float
    bytes_per_token: float

    @classmethod
    def through(cls, one: tuple[int, int], two: tuple[int, int]) -> MemoryNeed:
        """The line through two measurements (positions, bytes)."""
        slope = max(0.0, (two[1] - one[1]) / (two[0] - one[0]))
        return cls(max(0.0, one[1] - slope * one[0]), slope)

    def of(self, tokens: int) -> float:
        """Bytes of a micro-batch with this many positions, padding included."""
        return self.fixed_bytes + self.bytes_per_token * tokens

    def most_tokens(self, free_bytes: float) -> int:
        """The number of positions that fit into this much memory."""
        return max(0, int((free_bytes - self.fixed_bytes) / max(self.bytes_per_token, 1.0)))


def can_measure(device: torch.device) -> bool:
    """Whether the system reports peak memory: on a GPU, and on Linux."""
    return device.type == "cuda" or (device.type == "cpu" and os.access(CLEAR_REFS, os.W_OK))


class PeakMeter:
    """Measures the peak memory from its creation on, beyond the memory in use at that time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
        else:
            return_freed_memory()
            CLEAR_REFS.write_text(RESET_PEAK, encoding="utf-8")
            self._before = _field(PROC / "self" / "status", "VmRSS")

    def bytes(self) -> int:
        """The peak so far."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._before
        return _field(PROC / "self" / "status", "VmHWM") - self._before


def usable_bytes(device: torch.device, processes: int) -> float:
    """Bytes that each process of this machine may still use; a share stays free.

    Args:
        processes: on this machine.
    """
    shared = 1 if device.type == "cuda" else processes
    return free_bytes(device) * (1 - SPARE_SHARE[device.type]) / shared


def free_bytes(device: torch.device, cgroup: Path = CGROUP) -> int:
    """Free memory of the GPU, or of the machine and its container."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    available = _field(PROC / "meminfo", "MemAvailable")
    in_container = _free_in_container(cgroup)
    return available if in_container is None else min(available, in_container)


def need_of_step(
    model: nn.Module,
    longest: Example,
    device: torch.device,
    drop_gradients: Callable[[], object],
    *,
    compiled: bool = False,
) -> MemoryNeed:
    """Measures forward and backward of the longest utterance, once and twice in a batch; leaves
    neither gradients nor a changed random state.

    Args:
        drop_gradients: is called after each backward.
        compiled: whether layers are compiled on their first call, which takes memory too; they are
            run once before the measurement.

    Raises:
        torch.OutOfMemoryError: not even these fit.
    """
    width = longest.length - 1
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for count in (1, 2) if compiled else ():
            _try_step(model, [longest] * count, device, drop_gradients)
        meter = PeakMeter(device)
        _try_step(model, [longest], device, drop_gradients)
        one = meter.bytes()
        _try_step(model, [longest, longest], device, drop_gradients)
    return MemoryNeed.through((width, one), (2 * width, meter.bytes()))


def _try_step(
    model: nn.Module,
    examples: list[Example],
    device: torch.device,
    drop_gradients: Callable[[], object],
) -> None:
    predictions: Predictions = model(collate(examples).to(device))
    torch.autograd.backward([loss.total for loss in predictions.losses().values()])
    drop_gradients()


def _field(path: Path, name: str) -> int:
    """Bytes, from a line like `VmRSS:   1024 kB`."""
    found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(encoding="utf-8"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _free_in_container(cgroup: Path) -> int | None:
    """Bytes below the limit of the control group; None without a limit."""
    try:
        limit = int((cgroup / "memory.max").read_text(encoding="utf-8"))  # "max" without a limit
        used = int((cgroup / "memory.current").read_text(encoding="utf-8"))
        stat = (cgroup / "memory.stat").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    cached = re.search(r"^inactive_file (\d+)", stat, re.MULTILINE)
    return max(0, limit - used + (int(cached[1]) if cached else 0))
