"""Draws the mel spectrogram of a WAV file as a PNG."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from fintts_cli.speech.mel import HOP_SECONDS, log_mel, read_wav

if TYPE_CHECKING:
    import numpy.typing as npt

    from fintts_cli.speech.mel import Numbers

    Pixels = npt.NDArray[np.uint8]

SHOWN_DB = 70.0
"""below the loudest place"""
MOST_COLUMNS = 600
ROWS_PER_BAND = 2
SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTED = 3
STOPS = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
"""from quiet to loud, red, green and blue: dark violet, red, orange, light yellow"""


def mel_picture(wav: bytes) -> bytes | None:
    """A PNG, low frequencies at the bottom; None if this is not a WAV file of 16 bits.

    A column is 10 ms, or more in a recording of over six seconds.
    """
    try:
        samples, rate = read_wav(wav)
    except ValueError:
        return None
    hop_seconds = max(HOP_SECONDS, len(samples) / rate / MOST_COLUMNS)
    loudness = log_mel(samples, rate, hop_seconds)
    shown: Numbers = np.clip((loudness - loudness.max()) / SHOWN_DB + 1, 0, 1)
    pixels: Pixels = (shown[::-1] * 255).round().astype(np.uint8)
    return png(np.repeat(pixels, ROWS_PER_BAND, axis=0))


def png(pixels: Pixels) -> bytes:
    """A PNG of [rows, columns] places in the palette."""
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, PALETTED, 0, 0, 0)
    unfiltered = np.pad(pixels, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter, 0
    chunks = (
        (b"IHDR", header),
        (b"PLTE", _palette().tobytes()),
        (b"IDAT", zlib.compress(unfiltered, 9)),
        (b"IEND", b""),
    )
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def _palette() -> Pixels:
    """256 colours, [256, 3]."""
    at, places = np.linspace(0, len(STOPS) - 1, 256), np.arange(len(STOPS))
    colours = [np.interp(at, places, colour) for colour in zip(*STOPS, strict=True)]
    return np.stack(colours, axis=1).round().astype(np.uint8)
