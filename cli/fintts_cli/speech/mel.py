"""The log mel spectrogram of a WAV file."""

from __future__ import annotations

import io
import math
import wave
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

NO_WAV = (EOFError, RuntimeError, wave.Error)
"""what Python's reader of WAV files raises; the second of a chunk that ends beyond the file"""

BANDS = 80
WINDOW_SECONDS = 0.05
"""rounded to a power of two samples"""
HOP_SECONDS = 0.01
BLOCK_FRAMES = 1024
"""of a long recording at a time, so that it needs little memory"""
FULL_SCALE = 32768.0
FLOOR = 1e-10
"""power below which everything is silence"""
BREAK_HZ, MEL_FACTOR = 700.0, 2595.0
"""O'Shaughnessy's mel scale"""


def read_wav(content: bytes) -> tuple[Numbers, int]:
    """The samples of a WAV file of one channel and 16 bits, from -1 to 1, and its rate in Hz.

    Raises:
        ValueError: it is not such a file, or empty.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            shape = (file.getnchannels(), file.getsampwidth())
            sound, rate = file.readframes(file.getnframes()), int(file.getframerate())
    except NO_WAV as error:
        raise ValueError(f"not a WAV file: {error}") from None
    if shape != (1, 2) or rate <= 0 or not sound or len(sound) % 2:
        raise ValueError("not a WAV file of one channel and 16 bits a sample")
    return np.frombuffer(sound, "<i2") / FULL_SCALE, rate


def log_mel(samples: Numbers, rate: int, hop_seconds: float = HOP_SECONDS) -> Numbers:
    """Decibels, [bands, frames]; frames are centred, and zeros surround the samples."""
    window = 1 << max(4, round(math.log2(rate * WINDOW_SECONDS)))
    hop = max(1, math.ceil(rate * hop_seconds - 1e-6))
    padded = np.pad(samples, window // 2 + hop)[hop:]
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][: _count(samples, hop)]
    shape, filters = np.hanning(window + 1)[:-1], mel_filters(window, rate)
    blocks = [
        filters @ np.square(np.abs(np.fft.rfft(frames[at : at + BLOCK_FRAMES] * shape))).T
        for at in range(0, len(frames), BLOCK_FRAMES)
    ]
    return 10 * np.log10(np.concatenate(blocks, axis=1) + FLOOR)


def _count(samples: Numbers, hop: int) -> int:
    return max(1, math.ceil(len(samples) / hop))


def mel_filters(window: int, rate: int) -> Numbers:
    """Triangles of height 1 from 0 Hz to half the rate, [bands, bins]."""
    highest = MEL_FACTOR * math.log10(1 + rate / 2 / BREAK_HZ)
    edges = BREAK_HZ * (10 ** (np.linspace(0, highest, BANDS + 2) / MEL_FACTOR) - 1)
    bins = np.linspace(0, rate / 2, window // 2 + 1)
    low, middle, high = (edges[at : at + BANDS, None] for at in range(3))
    return np.clip(np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)), 0, 1)
