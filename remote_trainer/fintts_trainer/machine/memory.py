"""How much memory a step takes, found by trying it small, and how much there is.

Forward keeps about as much for each position that it reads, so two small steps tell what a large
one will take: before it fails, and on whatever device, kernels and options there are.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fintts_trainer.data.batches import collate

if TYPE_CHECKING:
    from torch import nn

    from fintts_trainer.families.base import Example, Predictions

SPARE_SHARE = {"cuda": 0.1, "cpu": 0.5}
"""Of what is free. torch counts a GPU's memory to the byte, and leaves some gaps; on a CPU the
resident pages are counted, of which a large step took up to 1.7 times as many as foreseen."""

PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
CLEAR_REFS, RESET_PEAK = PROC / "self" / "clear_refs", "5"
"""proc(5): has VmHWM begin again from VmRSS"""


@dataclass(frozen=True, slots=True)
class Need:
    """What a micro-batch takes beyond model and optimizer: so much, and so much a position."""

    fixed_bytes: float
    bytes_per_token: float

    @classmethod
    def through(cls, one: tuple[int, int], two: tuple[int, int]) -> Need:
        """The line through two measured (positions, bytes)."""
        slope = max(0.0, (two[1] - one[1]) / (two[0] - one[0]))
        return cls(max(0.0, one[1] - slope * one[0]), slope)

    def of(self, tokens: int) -> float:
        """Bytes for a micro-batch of so many positions, padding included."""
        return self.fixed_bytes + self.bytes_per_token * tokens

    def most_tokens(self, free: float) -> int:
        """Positions that fit into so many bytes."""
        return max(0, int((free - self.fixed_bytes) / max(self.bytes_per_token, 1.0)))


def can_measure(device: torch.device) -> bool:
    """Whether the system tells what a piece of work takes: on a GPU, and on Linux."""
    return device.type == "cuda" or (device.type == "cpu" and os.access(CLEAR_REFS, os.W_OK))


class PeakMeter:
    """The most that is held at a time from now on, beyond what is held now."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
        else:
            CLEAR_REFS.write_text(RESET_PEAK, encoding="utf-8")
            self._before = _field(PROC / "self" / "status", "VmRSS")

    def bytes(self) -> int:
        """So far."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._before
        return _field(PROC / "self" / "status", "VmHWM") - self._before


def usable_bytes(device: torch.device, processes: int) -> float:
    """What each of so many processes of this machine may still take, with some to spare."""
    shared = 1 if device.type == "cuda" else processes
    return free_bytes(device) * (1 - SPARE_SHARE[device.type]) / shared


def free_bytes(device: torch.device) -> int:
    """What is still free of the GPU, or of the machine and its container."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    available = _field(PROC / "meminfo", "MemAvailable")
    in_container = _free_in_container()
    return available if in_container is None else min(available, in_container)


def need_of_step(
    model: nn.Module, longest: Example, device: torch.device, *, compiled: bool = False
) -> Need:
    """From forward and backward of the longest utterance, alone and twice; leaves no gradient, and
    the random numbers where they were.

    Args:
        compiled: whether layers are compiled when they are first run, which takes memory of its
            own: they are run once before.

    Raises:
        torch.OutOfMemoryError: not even these fit.
    """
    width = longest.length - 1
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for count in (1, 2) if compiled else ():
            _try_step(model, [longest] * count, device)
        meter = PeakMeter(device)
        _try_step(model, [longest], device)
        one = meter.bytes()
        _try_step(model, [longest, longest], device)
    return Need.through((width, one), (2 * width, meter.bytes()))


def _try_step(model: nn.Module, examples: list[Example], device: torch.device) -> None:
    predictions: Predictions = model(collate(examples).to(device))
    torch.autograd.backward([loss.total for loss in predictions.losses().values()])
    model.zero_grad()


def _field(path: Path, name: str) -> int:
    """Bytes, of a line as `VmRSS:   1024 kB`."""
    found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(encoding="utf-8"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _free_in_container() -> int | None:
    """Bytes up to the limit of the control group; None on a machine without one."""
    try:
        limit = int((CGROUP / "memory.max").read_text(encoding="utf-8"))  # "max" without a limit
        used = int((CGROUP / "memory.current").read_text(encoding="utf-8"))
        stat = (CGROUP / "memory.stat").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    cached = re.search(r"^inactive_file (\d+)", stat, re.MULTILINE)
    return max(0, limit - used + (int(cached[1]) if cached else 0))
