"""Reads a recording of any rate and number of channels as one channel."""

from __future__ import annotations

import hashlib
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import numpy.typing as npt

    from fintts_inputs.recordings.piece import Piece

    Samples = npt.NDArray[np.float32]

BLOCK_SECONDS = 10
FULL = 1 << 23
"""of 24 bits, the finest that FLAC holds"""
FULL_SCALE = 0.999
CANCELLED_SHARE = 0.05
"""Channels cancel each other if their mean keeps less than this share of their power."""
SILENCE_SECONDS = 60.0
"""A recording may be this much longer than the longest speech."""
STREAMED_SIZES = (0, 0xFFFFFFFF)
"""the size in a WAV that a program wrote into a pipe, before it knew the size"""


class Unreadable(Exception):
    """A file cannot be used as a recording; the sentence goes on from its name."""


class TooLong(Unreadable):
    """A recording is longer than one utterance may be."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording in memory.

    Attributes:
        samples: float32, the mean of the channels, or the first one where they cancel each other;
            each a whole multiple of 2⁻²³, so that FLAC holds them unchanged.
        clipped: how often a channel stays at full scale for three samples.
    """

    samples: Samples
    rate: int
    channels: int
    clipped: int
    cancelled: bool

    @property
    def seconds(self) -> float:
        """The length."""
        return len(self.samples) / self.rate

    @property
    def digest(self) -> str:
        """SHA-256 of samples and rate; does not depend on the file's format."""
        return hashlib.sha256(f"{self.rate}\n".encode() + self.samples.tobytes()).hexdigest()


def read_sound(
    path: Path,
    most_seconds: float,
    silence_seconds: float = SILENCE_SECONDS,
    piece: Piece | None = None,
) -> Sound:
    """Reads in blocks, so that a recording that is too long costs no memory.

    Args:
        most_seconds: the limit of the speech, as errors name it.
        silence_seconds: how much longer than that the recording may be.
        piece: reads no more than this part.

    Raises:
        Unreadable: it is not a recording, is damaged or too long.
    """
    with opened(path) as file:
        if piece is None:
            return _read(file, most_seconds, silence_seconds)
        return _read_piece(file, piece, most_seconds + silence_seconds)


@contextmanager
def opened(path: Path) -> Generator[soundfile.SoundFile]:
    """A recording.

    Raises:
        Unreadable: it is not one, or is damaged; also for what happens while it is read.
    """
    _refuse_no_file(path)
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except (soundfile.SoundFileError, RuntimeError, OSError, ValueError) as error:
        raise Unreadable(f"cannot be read as sound: {_reason(error)}") from None


def announced_seconds(path: Path) -> float | None:
    """The length in a recording's header, which reads no sound; None if it has none."""
    try:
        _refuse_no_file(path)
        return float(soundfile.info(path).duration)
    except (Unreadable, soundfile.SoundFileError, RuntimeError, OSError, ValueError):
        return None


def _reason(error: Exception) -> str:
    """libsndfile's reason, except for a format that it does not recognise."""
    said = str(error).rsplit(": ", 1)[-1].rstrip(".")
    return "unknown format" if "regular file" in said else said


def _refuse_no_file(path: Path) -> None:
    """Refuses pipes and devices, which might never end, and truncated WAVs, which libsndfile reads
    without an error."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable("is not a regular file")
        if not found.st_size:
            raise Unreadable("is an empty file")
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    announced = int.from_bytes(head[4:8], "little")
    if head[:4] == b"RIFF" and announced not in STREAMED_SIZES:
        there = found.st_size - 8
        if announced > there + 1:
            raise Unreadable(f"is truncated: it has {there:,} of its {announced:,} bytes")


def _read(file: soundfile.SoundFile, most_seconds: float, silence_seconds: float) -> Sound:
    rate, channels = file.samplerate, file.channels
    most_read = most_seconds + silence_seconds
    if file.seekable() and file.frames / rate > 2 * most_read:
        raise TooLong(too_long(file.frames / rate, most_seconds))
    blocks: list[Samples] = []
    read = 0
    while len(block := file.read(BLOCK_SECONDS * rate, dtype="float32", always_2d=True)):
        blocks.append(np.asarray(block, np.float32))
        read += len(block)
        if read / rate > most_read:
            raise TooLong(too_long(max(read, file.frames) / rate, most_seconds))
    if not read:
        raise Unreadable("has no samples")
    if file.format in ("FLAC", "WAV") and read < file.frames:
        raise Unreadable(f"is truncated: it has {read:,} of its {file.frames:,} samples")
    return _sound_of(np.concatenate(blocks), rate, channels)


def _read_piece(file: soundfile.SoundFile, piece: Piece, most_read: float) -> Sound:
    if piece.length / file.samplerate > most_read:
        raise TooLong(too_long(piece.length / file.samplerate, most_read))
    file.seek(piece.first)
    wide = file.read(piece.length, dtype="float32", always_2d=True)
    if not len(wide):
        raise Unreadable(f"ends before {piece.first / file.samplerate:,.1f} s")
    return _sound_of(np.asarray(wide, np.float32), file.samplerate, file.channels)


def _sound_of(wide: Samples, rate: int, channels: int) -> Sound:
    if not np.isfinite(wide).all():
        raise Unreadable("has samples that are not finite")
    mono, cancelled = _one_channel(wide)
    return Sound(mono, rate, channels, _clipped(wide), cancelled)


def too_long(seconds: float, most: float) -> str:
    """The problem of a recording that is longer than one utterance may be."""
    shown, limit = f"{seconds:,.1f}", f"{most:,.1f}"
    if shown == limit:
        shown, limit = f"{seconds:,.3f}", f"{most:,.3f}"
    return f"is {shown} s long, but the limit is {limit} s; cut it at pauses"


def _one_channel(wide: Samples) -> tuple[Samples, bool]:
    """(the mean of the channels, False), or (the first one, True) where the mean cancels them."""
    mean = wide.mean(axis=1)
    power, left = _power(wide), _power(mean)
    cancelled = wide.shape[1] == 2 and left < CANCELLED_SHARE * power and _both_sound(wide)
    return rounded(wide[:, 0] if cancelled else mean), cancelled


def rounded(samples: Samples) -> Samples:
    """The samples in 24 bits, as float32: what differs is 138 dB below full scale."""
    return np.ascontiguousarray(np.round(samples * np.float32(FULL)) / np.float32(FULL), np.float32)


def _both_sound(wide: Samples) -> bool:
    powers = [_power(channel) for channel in wide.T]
    return min(powers) > CANCELLED_SHARE * max(powers)


def _power(samples: Samples) -> float:
    """The mean square; in float64, since samples of a damaged file may be huge."""
    return float(np.square(samples, dtype=np.float64).mean())


def _clipped(wide: Samples) -> int:
    full = np.abs(wide) >= FULL_SCALE
    begins = full[2:] & full[1:-1] & full[:-2]
    begins[1:] &= ~full[:-3]
    return int(begins.sum())


def at_rate(samples: Samples, rate: int, wanted: int) -> Samples:
    """Resamples to another rate with soxr at very high quality; float32."""
    if rate == wanted:
        return samples
    return np.asarray(soxr.resample(samples, rate, wanted, quality="VHQ"), np.float32)


def amplified(speech: Samples, rate: int, gain: float, wanted: int) -> Samples:
    """Speech as a codec reads it: amplified, then resampled to its rate."""
    return at_rate(speech * np.float32(gain), rate, wanted)
