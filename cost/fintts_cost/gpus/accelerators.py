"""The accelerators that a run can use, with their memory and speed.

Names are those of SkyPilot's catalogs; `H100` is the PCIe card, the slower of those that clouds
rent under that name. Speeds are from the makers' data sheets: dense bfloat16 without sparsity, in
TFLOP/s with float32 accumulation, the bandwidth of the memory, and float32 in TFLOP/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from fintts_cost.errors import UnknownAccelerator


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One GPU."""

    name: str
    memory_gb: float
    """nominal size, in 10^9 bytes"""
    bf16_tflops: float
    """dense peak of the data sheet"""
    bandwidth_gb: float
    """of the memory, in 10^9 bytes a second"""
    fp32_tflops: float
    """peak of the data sheet without tensor cores"""

    @property
    def memory_bytes(self) -> int:
        """The nominal size."""
        return round(self.memory_gb * 10**9)

    @property
    def bytes_per_flop(self) -> float:
        """Bytes that memory delivers in the time of a FLOP at the peak."""
        return self.bandwidth_gb / (self.bf16_tflops * 1000)


_TABLE = (
    Accelerator("A10", 24, 125, 600, 31.2),
    Accelerator("A10G", 24, 70, 600, 31.5),
    Accelerator("A40", 48, 150, 696, 37.4),
    Accelerator("A100", 40, 312, 1555, 19.5),
    Accelerator("A100-80GB", 80, 312, 2039, 19.5),
    Accelerator("A100-80GB-SXM", 80, 312, 2039, 19.5),
    Accelerator("A6000", 48, 155, 768, 38.7),
    Accelerator("B200", 180, 2250, 8000, 75),
    Accelerator("GH200", 96, 989, 4000, 67),
    Accelerator("H100", 80, 756, 2000, 51),
    Accelerator("H100-MEGA", 80, 989, 3350, 67),
    Accelerator("H100-NVL", 94, 835, 3900, 60),
    Accelerator("H100-SXM", 80, 989, 3350, 67),
    Accelerator("H200", 141, 989, 4800, 67),
    Accelerator("H200-SXM", 141, 989, 4800, 67),
    Accelerator("L4", 24, 121, 300, 30.3),
    Accelerator("L40", 48, 181, 864, 90.5),
    Accelerator("L40S", 48, 362, 864, 91.6),
    Accelerator("RTX3090", 24, 71, 936, 35.6),
    Accelerator("RTX4090", 24, 165, 1008, 82.6),
    Accelerator("RTX5090", 32, 209, 1792, 104.8),
    Accelerator("RTX6000-Ada", 48, 364, 960, 91.1),
    Accelerator("RTXA6000", 48, 155, 768, 38.7),
)
ACCELERATORS = {accelerator.name: accelerator for accelerator in _TABLE}
_BY_FOLDED_NAME = {name.upper(): accelerator for name, accelerator in ACCELERATORS.items()}

WITHOUT_BFLOAT16 = ("K80", "M60", "P4", "P100", "T4", "T4G", "V100", "V100-32GB")
WITHOUT_CUDA = ("GAUDI2", "MI250", "MI300X", "MI325X", "MI355X")
"""Other makers' than Nvidia's; the trainer's PyTorch is the one for CUDA."""


def find(name: str) -> Accelerator:
    """The accelerator of this name, in any case.

    Raises:
        UnknownAccelerator: there is none, or it lacks bfloat16 or CUDA.
    """
    folded = name.strip().upper()
    found = _BY_FOLDED_NAME.get(folded)
    if found is not None:
        return found
    if folded in WITHOUT_BFLOAT16:
        raise UnknownAccelerator(
            f"{folded} does not compute in bfloat16, which the frozen base model needs",
            f"use one of {', '.join(ACCELERATORS)}",
        )
    if folded in WITHOUT_CUDA:
        raise UnknownAccelerator(
            f"{folded} has no CUDA, for which the trainer's PyTorch is built",
            f"use one of {', '.join(ACCELERATORS)}",
        )
    raise UnknownAccelerator(f"there is no accelerator named {name!r}", _hint(folded))


def _hint(folded: str) -> str:
    close = get_close_matches(folded, _BY_FOLDED_NAME, n=2, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(_BY_FOLDED_NAME[match].name for match in close)}?"
    return f"known are {', '.join(ACCELERATORS)}"
