"""Samples as a WAV file."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fintts_trainer.codecs.base import Wave as Samples

PCM_PEAK = 32767


def wav_of(samples: Samples, rate: int) -> bytes:
    """A WAV file of one channel with 16 bits a sample."""
    pcm = np.round(np.clip(samples, -1.0, 1.0) * PCM_PEAK).astype("<i2")
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())
    return stream.getvalue()
