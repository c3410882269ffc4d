"""Forecasts the time of a step from its work, before anything is measured.

A step takes as long as the slower of two: the GPU, which needs its FLOPs divided by the share of
its peak that it reaches, and the CPU beside it, which launches one kernel after the other. Data and
Python add something for each micro-batch. Each figure is a range with its source; the ends of all
ranges together are the ends of the forecast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.errors import EstimateError
from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.interval import Interval
from fintts_cost.reference.run import REFERENCE_RUN, reference_flops_per_step

if TYPE_CHECKING:
    from fintts_cost.gpus.accelerators import Accelerator

FASTEST = 0.42
"""of the peak: published LoRA fine-tuning on an H100 reaches 41 to 43 % with 4,096 tokens and no
padding"""
A100_LIKELY = 0.27
"""of the peak: a roofline of the operations that a step of 8 × 400 tokens logs gives 24 to 30 %"""
A100 = ACCELERATORS["A100-80GB"]

LAUNCHES_PER_LAYER = 62
LAUNCHES_ELSEWHERE = 190
"""Kernels that one micro-batch launches, forward and backward, with the update of the adapter.
`benchmarks/launches.py` counts 2,117 for OpenAudio S1-mini with 28 + 4 layers, 60 for each layer;
the kernel of attention has two more in backward. Compiled layers launch fewer."""
HOST_SECONDS = Interval(5e-6, 12e-6, 25e-6)
"""of the CPU for one launch. PyTorch's dispatcher takes 5 to 25 µs an operation; forward and
backward of 9,000 took 121 ms on one CPU, which is 13 µs."""
FEED_SECONDS = Interval(0.001, 0.005, 0.025)
"""for each micro-batch: to collate it, copy it and log it. An assumption."""


class Work(NamedTuple):
    """What a step does."""

    flops: float
    """model FLOPs of the whole step"""
    layers: int
    """of all networks"""
    micro_batches: int = 1
    """of each GPU"""

    @property
    def launches(self) -> int:
        """Kernels that each GPU launches."""
        return self.micro_batches * (self.layers * LAUNCHES_PER_LAYER + LAUNCHES_ELSEWHERE)


def slowest() -> float:
    """The share of its peak that the reference run reached: 0.8 %.

    Its trainer padded each utterance to 4,096 tokens and waited for data, and nothing says that
    another run cannot be as slow.
    """
    reached = reference_flops_per_step() / float(REFERENCE_RUN.seconds_per_step)
    return reached / (A100.bf16_tflops * 1e12)


def efficiency(accelerator: Accelerator) -> Interval:
    """The share of its peak that a GPU reaches in a step.

    Small operations wait for memory, so the likely share is that of an A100, scaled by how many
    bytes memory delivers for each FLOP of the peak: 0.14 on an H100 SXM, where the roofline gives
    0.12 to 0.15.
    """
    likely = A100_LIKELY * accelerator.bytes_per_flop / A100.bytes_per_flop
    return Interval(slowest(), min(likely, FASTEST), FASTEST)


def step_seconds(work: Work, accelerator: Accelerator, count: int = 1) -> Interval:
    """The time of a step on so many GPUs.

    Raises:
        EstimateError: there is no GPU.
    """
    if count < 1:
        raise EstimateError(f"there must be at least 1 GPU, but there are {count}")
    low, likely, high = efficiency(accelerator)
    ends = zip((high, likely, low), HOST_SECONDS, FEED_SECONDS, strict=True)
    peak = accelerator.bf16_tflops * 1e12 * count
    return Interval(
        *(
            max(work.flops / (peak * share), work.launches * host) + work.micro_batches * feed
            for share, host, feed in ends
        )
    )
