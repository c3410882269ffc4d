"""The accelerators that a run can use, with memory and dense bfloat16 speed.

Names are those of SkyPilot's catalogs. Speeds are from the makers' data sheets, without sparsity,
in TFLOP/s with float32 accumulation.
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

    @property
    def memory_bytes(self) -> int:
        """The nominal size."""
        return round(self.memory_gb * 10**9)


_TABLE = (
    Accelerator("A10", 24, 125),
    Accelerator("A10G", 24, 70),
    Accelerator("A40", 48, 150),
    Accelerator("A100", 40, 312),
    Accelerator("A100-80GB", 80, 312),
    Accelerator("A100-80GB-SXM", 80, 312),
    Accelerator("A6000", 48, 155),
    Accelerator("B200", 180, 2250),
    Accelerator("GH200", 96, 989),
    Accelerator("H100", 80, 989),
    Accelerator("H100-MEGA", 80, 989),
    Accelerator("H100-NVL", 94, 835),
    Accelerator("H100-SXM", 80, 989),
    Accelerator("H200", 141, 989),
    Accelerator("H200-SXM", 141, 989),
    Accelerator("L4", 24, 121),
    Accelerator("L40", 48, 181),
    Accelerator("L40S", 48, 362),
    Accelerator("RTX3090", 24, 71),
    Accelerator("RTX4090", 24, 165),
    Accelerator("RTX5090", 32, 209),
    Accelerator("RTX6000-Ada", 48, 364),
    Accelerator("RTXA6000", 48, 155),
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
            f"take one of {', '.join(ACCELERATORS)}",
        )
    if folded in WITHOUT_CUDA:
        raise UnknownAccelerator(
            f"{folded} has no CUDA, for which the trainer's PyTorch is built",
            f"take one of {', '.join(ACCELERATORS)}",
        )
    raise UnknownAccelerator(f"there is no accelerator named {name!r}", _hint(folded))


def _hint(folded: str) -> str:
    close = get_close_matches(folded, _BY_FOLDED_NAME, n=2, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(_BY_FOLDED_NAME[match].name for match in close)}?"
    return f"known are {', '.join(ACCELERATORS)}"
