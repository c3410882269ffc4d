"""The mel spectrogram of a WAV file: numbers, and their picture."""

from __future__ import annotations

import io
import struct
import wave
import zlib

import numpy as np
import pytest

from fintts_cli.speech.mel import BANDS, HOP_SECONDS, log_mel, mel_filters, read_wav
from fintts_cli.views.mel_picture import MOST_COLUMNS, ROWS_PER_BAND, SIGNATURE, mel_picture
from fintts_trainer.synthesis.wav import wav_of

RATE = 16_000


def tone(
    hertz: float, seconds: float, rate: int = RATE
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def chunks(png: bytes) -> dict[bytes, bytes]:
    """Kind → content, each with a right checksum."""
    assert png.startswith(SIGNATURE)
    found, at = dict[bytes, bytes](), len(SIGNATURE)
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        content = png[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack(">I", png[at + 8 + size : at + 12 + size])
        assert checksum == zlib.crc32(kind + content)
        found[kind], at = content, at + 12 + size
    return found


def pixels(png: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Places in the palette, [rows, columns]."""
    parts = chunks(png)
    width, height, depth, kind = struct.unpack(">IIBB", parts[b"IHDR"][:10])
    assert (depth, kind, len(parts[b"PLTE"])) == (8, 3, 3 * 256)
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def drawn(wav: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = mel_picture(wav)
    assert picture is not None
    return pixels(picture)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_tone_is_loudest_in_its_own_band(rate: int) -> None:
    window = 1 << round(np.log2(rate * 0.05))
    centres = mel_filters(window, rate).argmax(axis=1) * rate / window
    for hertz in (300.0, 1_000.0, 3_000.0):
        loudness = log_mel(tone(hertz, 1, rate), rate)
        assert loudness.shape == (BANDS, 100)
        loudest = loudness[:, 50].argmax()
        assert centres[loudest] == pytest.approx(hertz, rel=0.12)


def test_half_as_loud_is_six_decibels_less() -> None:
    whole = log_mel(tone(500, 0.5), RATE)
    half = log_mel(tone(500, 0.5) / 2, RATE)
    loud = whole > whole.max() - 40
    np.testing.assert_allclose((whole - half)[loud], 6.02, atol=0.01)


def test_a_frame_sees_what_is_around_its_time() -> None:
    samples = np.concatenate([np.zeros(RATE), tone(1000, 1)])
    loudness = log_mel(samples, RATE).max(axis=0)
    steps = np.diff(loudness)
    assert np.flatnonzero(loudness > loudness.max() - 7)[0] == pytest.approx(1 / HOP_SECONDS, abs=2)
    assert loudness[:90].max() < -90
    assert abs(steps[110:190]).max() < 0.1


def test_a_long_recording_has_the_same_frames_as_its_parts() -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 15 * RATE)
    whole = log_mel(samples, RATE)
    assert whole.shape == (BANDS, 1500)
    np.testing.assert_allclose(whole[:, 1210:1390], log_mel(samples[12 * RATE :], RATE)[:, 10:190])


def test_high_tones_are_drawn_above_low_ones_and_time_runs_to_the_right() -> None:
    picture = drawn(
        wav_of(np.concatenate([tone(300, 0.5), tone(4000, 0.5)]).astype(np.float32), RATE)
    )
    assert picture.shape == (BANDS * ROWS_PER_BAND, 100)
    assert picture[:, 25].argmax() > picture[:, 75].argmax()
    assert picture.max() == 255
    assert picture.min() < 40


def test_a_long_recording_is_drawn_into_a_bounded_width() -> None:
    for seconds in (5.9, 6.1, 61.7):
        samples = tone(440, seconds, 8000).astype(np.float32)
        width = drawn(wav_of(samples, 8000)).shape[1]
        assert MOST_COLUMNS * 0.98 <= width <= MOST_COLUMNS


def test_silence_and_a_single_sample_are_drawn() -> None:
    for samples in (np.zeros(8000, np.float32), np.ones(1, np.float32)):
        assert drawn(wav_of(samples, 8000)).size


def wav_file(channels: int, width: int, frames: int, rate: int = 8000) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes(channels * width * frames))
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"no sound", wav_file(2, 2, 10), wav_file(1, 1, 10), wav_file(1, 2, 0),
     wav_file(1, 2, 10)[:-1], wav_file(1, 2, 10)[:24] + bytes(4) + wav_file(1, 2, 10)[28:]],
)  # fmt: skip
def test_what_is_not_such_a_recording_has_no_picture(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a WAV file"):
        read_wav(content)
    assert mel_picture(content) is None
