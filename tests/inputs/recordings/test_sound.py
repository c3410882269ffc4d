"""Recordings of every format, or why one cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fintts_inputs.recordings.level import LOUDNESS_LUFS, gain_to, loudness_of, speech_in
from fintts_inputs.recordings.sound import Unreadable, at_rate, read_sound, too_long
from fintts_inputs.recordings.utterance import prepared
from recordings import speech, write_recording
from waves import voice


@pytest.mark.parametrize(
    ("name", "rate", "subtype", "error"),
    [
        ("a.wav", 44_100, "PCM_U8", 0.01),
        ("a.wav", 44_100, "PCM_24", 1e-6),
        ("a.wav", 44_100, "FLOAT", 1e-7),
        ("a.wav", 44_100, "DOUBLE", 1e-7),
        ("a.wav", 8_000, "ALAW", 0.02),
        ("a.wav", 192_000, "PCM_16", 1e-4),
        ("a.flac", 48_000, "PCM_24", 1e-6),
        ("a.aiff", 44_100, "PCM_16", 1e-4),
        ("a.ogg", 44_100, "", 0.1),
        ("a.opus", 48_000, "", 0.1),
        ("a.mp3", 44_100, "", 0.1),
    ],
)
def test_a_recording_of_any_format_is_read(
    tmp_path: Path, name: str, rate: int, subtype: str, error: float
) -> None:
    wave = voice(1, rate)
    sound = read_sound(write_recording(tmp_path, name, wave, rate, subtype=subtype), 10)
    assert (sound.rate, sound.channels) == (rate, 1)
    assert sound.samples.dtype == np.float32
    shared = min(len(wave), len(sound.samples))
    assert shared > 0.95 * rate
    if error < 0.1:
        np.testing.assert_allclose(sound.samples, wave, atol=error)
    else:
        assert np.corrcoef(sound.samples[:shared], wave[:shared])[0, 1] > 0.9


def test_channels_become_their_mean(tmp_path: Path) -> None:
    one = voice(1, 48_000)
    six = np.stack([one * share for share in (1, 0.5, 0, 0, 0.25, 0.25)], axis=1)
    sound = read_sound(write_recording(tmp_path, "a.wav", six, 48_000, subtype="FLOAT"), 10)
    assert (sound.channels, sound.cancelled) == (6, False)
    np.testing.assert_allclose(sound.samples, one / 3, atol=1e-6)


def test_a_channel_alone_does_not_cancel(tmp_path: Path) -> None:
    one = voice(1, 48_000)
    left = read_sound(
        write_recording(tmp_path, "l.wav", np.stack([one, 0 * one], axis=1), 48_000), 10
    )
    assert not left.cancelled
    turned = np.stack([one, -0.98 * one], axis=1)
    sound = read_sound(write_recording(tmp_path, "t.wav", turned, 48_000, subtype="FLOAT"), 10)
    assert sound.cancelled
    np.testing.assert_allclose(sound.samples, one, atol=1e-6)


def test_huge_samples_of_a_damaged_file_overflow_nothing(tmp_path: Path) -> None:
    """Warnings are errors in these tests; a user would see numpy's, with a path of ours."""
    one = np.full(1000, 1e30, np.float32)
    both = np.stack([one, -one], axis=1)
    sound = read_sound(write_recording(tmp_path, "a.wav", both, 44_100, subtype="FLOAT"), 10)
    assert sound.cancelled


def test_a_limit_that_is_just_missed_is_told_apart_from_the_length() -> None:
    assert too_long(3.001, 2.96).startswith("is 3.001 s long, but the limit is 2.960 s")
    assert too_long(7200, 190).startswith("is 7,200.0 s long, but the limit is 190.0 s")


def test_moments_of_clipping_are_counted(tmp_path: Path) -> None:
    wave = np.zeros(1000, np.float32)
    wave[100:110] = 1
    wave[300:303] = -1
    wave[500:502] = 1
    assert read_sound(write_recording(tmp_path, "a.wav", wave), 10).clipped == 2


def test_what_is_no_recording_says_why(tmp_path: Path) -> None:
    whole = write_recording(tmp_path, "whole.wav", voice(1, 44_100))
    flac = write_recording(tmp_path, "whole.flac", voice(1, 44_100))
    cut, half = tmp_path / "cut.wav", tmp_path / "half.flac"
    cut.write_bytes(whole.read_bytes()[:20_000])
    half.write_bytes(flac.read_bytes()[:20_000])
    nan = write_recording(tmp_path, "nan.wav", np.full(1000, np.nan, np.float32), subtype="FLOAT")
    zero, text, header = (tmp_path / f"{name}.wav" for name in ("zero", "text", "header"))
    zero.write_bytes(b"")
    text.write_text("hello, this is no sound at all")
    header.write_bytes(b"RIFF\x24\x00\x00\x00WAVE")
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    cases = {
        cut: "is truncated: it has 19,992 of its 88,236 bytes",
        half: "is truncated|cannot be read",
        nan: "not finite",
        zero: "is an empty file",
        text: "cannot be read as sound",
        header: "is truncated|cannot be read",
        pipe: "not a regular file",
        tmp_path / "none.wav": "cannot be read",
        whole: r"is 1\.0 s long, but the limit is 0\.4 s",
    }
    for path, sentence in cases.items():
        with pytest.raises(Unreadable, match=sentence):
            read_sound(path, 0.4 if path == whole else 10, silence_seconds=0)


def test_a_streamed_wav_is_read_to_its_end(tmp_path: Path) -> None:
    """ffmpeg writes sizes that it does not know as 0xFFFFFFFF."""
    path = write_recording(tmp_path, "a.wav", voice(1, 44_100))
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff" * 4
    content[40:44] = b"\xff" * 4
    path.write_bytes(content)
    assert read_sound(path, 10).seconds == pytest.approx(1)


def test_a_long_recording_costs_no_memory(tmp_path: Path) -> None:
    """Two hours of silence, a sparse file."""
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 44_100, 1, "PCM_16") as file:
        file.write(np.zeros(10, np.float32))
    content = bytearray(path.read_bytes())
    data = 2 * 3600 * 44_100 * 2
    content[4:8] = (data + 36).to_bytes(4, "little")
    content[40:44] = data.to_bytes(4, "little")
    path.write_bytes(content)
    os.truncate(path, data + 44)
    with pytest.raises(Unreadable, match=r"is 7,200\.0 s long, but the limit is 190\.0 s"):
        read_sound(path, 190)


def test_resampling_keeps_the_length_and_the_pitch() -> None:
    t = np.arange(16_000) / 16_000
    wave = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    found = at_rate(wave, 16_000, 44_100)
    assert found.dtype == np.float32
    assert len(found) == 44_100
    wanted = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    np.testing.assert_allclose(found[2000:-2000], wanted[2000:-2000], atol=1e-4)
    assert at_rate(wave, 16_000, 16_000) is wave


def test_a_sine_at_full_scale_has_the_loudness_that_the_standard_says() -> None:
    """ITU-R BS.1770-4: a sine of 997 Hz and 0 dBFS in one channel reads −3.01 LUFS."""
    wave = np.sin(2 * np.pi * 997 * np.arange(48_000 * 2) / 48_000).astype(np.float32)
    assert loudness_of(wave, 48_000) == pytest.approx(-3.01, abs=0.05)
    assert loudness_of(wave[:9_600], 48_000) == pytest.approx(-3.01, abs=0.3)
    assert loudness_of(0 * wave, 48_000) == -np.inf


def test_a_gain_stops_at_the_peak() -> None:
    assert gain_to(-29.0, 0.1) == pytest.approx(10 ** (6 / 20))
    assert gain_to(-43.0, 0.5) == pytest.approx(0.99 / 0.5)
    assert LOUDNESS_LUFS == -23.0


def test_speech_is_found_between_silences() -> None:
    rate = 44_100
    begin, end = speech_in(speech(1, 1.0, rate), rate)
    assert begin / rate == pytest.approx(0.2, abs=0.03)
    assert end / rate == pytest.approx(1.4, abs=0.03)
    assert speech_in(np.zeros(1000, np.float32), rate) == (0, 0)


def test_a_recording_that_was_changed_is_not_taken_for_the_other(tmp_path: Path) -> None:
    path = write_recording(tmp_path, "a.wav", speech(1))
    digest = read_sound(path, 10).digest
    wave = prepared(path, digest, 1000, 45_100, 2.0, 22_050)
    assert wave.shape == (22_050,)
    write_recording(tmp_path, "a.wav", speech(2))
    with pytest.raises(Unreadable, match="has changed"):
        prepared(path, digest, 1000, 45_100, 2.0, 22_050)
