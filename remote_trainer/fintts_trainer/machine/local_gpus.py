"""The GPUs of this machine, for the bill of a run that allows several kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fintts_cost.gpus.names import as_asked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_trainer.processes.world import World


@dataclass(frozen=True, slots=True)
class LocalGpus:
    """The GPUs of this machine, all of one kind."""

    name: str
    """the driver's name: `NVIDIA A100-SXM4-80GB`"""
    memory_gib: float
    count: int

    def describe(self, asked: Iterable[str]) -> str:
        """In the format of `--gpus`, by the name that the launch used: `A100-80GB:1`."""
        names = [gpus.partition(":")[0] for gpus in asked]
        return f"{as_asked(self.name, self.memory_gib, names)}:{self.count}"


def local_gpus(world: World) -> LocalGpus | None:
    """The GPUs that the run trains on; None on a CPU."""
    if world.device.type != "cuda":
        return None
    properties = torch.cuda.get_device_properties(world.device)
    return LocalGpus(properties.name, properties.total_memory / 2**30, world.processes_here)
