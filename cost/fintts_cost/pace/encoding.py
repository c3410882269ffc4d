"""How long a codec takes to encode speech, from its work or from runs that were measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cost.interval import Interval

if TYPE_CHECKING:
    from fintts_cost.gpus.accelerators import Accelerator

FLOPS_A_SECOND = 78e9
"""of speech through the encoder of OpenAudio S1's codec, counted from its layers; the other codecs
need less"""
SHARES_OF_PEAK = Interval(0.08, 0.3, 0.5)
"""of a GPU's float32 peak: an assumption, as for other networks of long convolutions"""
ON_A_CPU = Interval(0.1, 1.0, 2.5)
"""seconds for a second of speech, without a GPU; one loaded core takes 1.9 for OpenAudio S1's codec
(benchmarks/encode.py), small codecs far less"""
MEASURED_DOUBT = 1.25
"""how much a run differs from another one on the same GPU, either way"""


def seconds_of_encoding(speech_seconds: float, accelerator: Accelerator | None) -> Interval:
    """The time for so much speech on one GPU; None is this machine, whose speed is not known."""
    if accelerator is None:
        return ON_A_CPU.times(speech_seconds)
    low, likely, high = SHARES_OF_PEAK
    at_peak = speech_seconds * FLOPS_A_SECOND / (accelerator.fp32_tflops * 1e12)
    return Interval(at_peak / high, at_peak / likely, at_peak / low)


def seconds_as_measured(speech_seconds: float, factor: float) -> Interval:
    """The same from a run on the same GPU.

    Args:
        factor: its seconds for each second of speech.
    """
    likely = speech_seconds * factor
    return Interval(likely / MEASURED_DOUBT, likely, likely * MEASURED_DOUBT)
