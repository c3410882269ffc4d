"""NVML, the driver's own library: how busy a GPU is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pynvml

from fintts_trainer.machine.gpu_meter import Sample

if TYPE_CHECKING:
    from collections.abc import Callable


def sampler_of(uuid: str) -> Callable[[], Sample | None]:
    """A function that samples a GPU; it returns None if the driver does not answer.

    Args:
        uuid: as torch has it, which numbers only the GPUs that the process may use.
    """
    try:
        pynvml.nvmlInit()
        gpu = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except pynvml.NVMLError:
        return lambda: None

    def sample() -> Sample | None:
        try:
            busy = float(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
            return Sample(busy / 100, int(pynvml.nvmlDeviceGetMemoryInfo(gpu).total))
        except pynvml.NVMLError:
            return None

    return sample
