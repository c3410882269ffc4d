"""Which GPU this machine has: the bill counts with it, where a run could get one of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fintts_cost.gpu_names import as_asked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_trainer.processes.world import World


@dataclass(frozen=True, slots=True)
class Card:
    """The GPUs of this machine, which are all alike."""

    name: str
    """as the driver has it: `NVIDIA A100-SXM4-80GB`"""
    memory_gib: float
    count: int

    def describe(self, asked: Iterable[str]) -> str:
        """As `--gpus` has it, in the name under which it was asked for: `A100-80GB:1`."""
        names = [gpus.partition(":")[0] for gpus in asked]
        return f"{as_asked(self.name, self.memory_gib, names)}:{self.count}"


def card_here(world: World) -> Card | None:
    """None where the run trains on a CPU."""
    if world.device.type != "cuda":
        return None
    found = torch.cuda.get_device_properties(world.device)
    return Card(found.name, found.total_memory / 2**30, world.processes_here)
