"""Sounds made of numbers."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


def read_wave(path: Path) -> Samples:
    """A 16-bit WAV of one channel, as float32."""
    with wave.open(str(path)) as file:
        content = file.readframes(file.getnframes())
    return (np.frombuffer(content, "<i2") / 32768).astype(np.float32)


def voice(seconds: float, rate: int, pitch: float = 120.0, seed: int = 0) -> Samples:
    """A buzz with a slow rhythm and a little noise: it has a loudness, as speech has."""
    t = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * pitch * n * t) / n for n in range(1, 12))
    rhythm = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * t)
    noise = np.random.default_rng(seed).normal(size=len(t))
    return (0.1 * rhythm * buzz + 0.003 * noise).astype(np.float32)
