"""Measures the loudness of a recording, and finds where its speech starts and ends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pyloudnorm import Meter

if TYPE_CHECKING:
    from fintts_inputs.recordings.sound import Samples

LOUDNESS_LUFS = -23.0
"""the loudness to normalise to, as in EBU R 128"""
BLOCK_SECONDS = 0.4
"""block size of ITU-R BS.1770-4"""

WINDOW_SECONDS = 0.02
MARGIN_SECONDS = 0.1
"""kept before and after the speech"""
BELOW_SPEECH_DB = 40.0
SILENT_DB = -70.0
HIGHEST_PEAK = 0.99


def loudness_of(samples: Samples, rate: int) -> float:
    """Integrated loudness in LUFS; −inf for silence. A recording shorter than a block counts as
    one."""
    seconds = len(samples) / rate
    block = min(BLOCK_SECONDS, seconds)
    with np.errstate(divide="ignore", invalid="ignore"):
        meter = Meter(rate, block_size=block)
        found = float(meter.integrated_loudness(samples.astype(np.float64)))
    return -math.inf if math.isnan(found) else found


def gain_to(loudness: float, peak: float) -> float:
    """The factor that brings a recording to LOUDNESS_LUFS, or as close as its peak allows."""
    wanted = 10 ** ((LOUDNESS_LUFS - loudness) / 20)
    return float(min(wanted, HIGHEST_PEAK / peak))


def speech_in(samples: Samples, rate: int) -> tuple[int, int]:
    """The range of samples to keep; (0, 0) if all is silent.

    It starts a tenth of a second before the first window of 20 ms within 40 dB of the louder
    windows, and ends as long after the last one.
    """
    step = max(1, round(WINDOW_SECONDS * rate))
    padded = np.pad(samples, (0, -len(samples) % step)).reshape(-1, step)
    power = np.square(padded, dtype=np.float64).mean(axis=1)
    decibels = 10 * np.log10(power + 1e-12)
    loud = float(np.percentile(decibels, 95))
    heard = np.flatnonzero(decibels > max(loud - BELOW_SPEECH_DB, SILENT_DB))
    if not len(heard):
        return 0, 0
    margin = round(MARGIN_SECONDS * rate)
    return (
        max(0, int(heard[0]) * step - margin),
        min(len(samples), (int(heard[-1]) + 1) * step + margin),
    )
