"""Folders of recordings as users have them, with what is odd in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from fintts_inputs.recordings.survey import Limits
from waves import Samples, voice

LIMITS = Limits(rate=44_100, least_seconds=0, most_seconds=190)
TEXT = "kantele soitti tuvassa illan tullen hiljaa numero"
WORDS = ["kaski", "saari", "honka", "tuuli", "halla", "meri", "kaiku", "vene", "hirsi", "torni"]
WORDS += ["lumme", "sauna", "kuusi"]


def text_of(number: int, words: int = 4) -> str:
    """A text of its own for each number, of about 24 letters."""
    chosen = [WORDS[(number * 5 + n * (1 + number // 13)) % len(WORDS)] for n in range(words)]
    return " ".join(chosen)


def write_recording(
    folder: Path,
    name: str,
    samples: Samples,
    rate: int = 44_100,
    *,
    text: str | None = TEXT,
    subtype: str = "PCM_16",
) -> Path:
    """A sound file of the format that its name ends in, with its text beside it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = subtype if path.suffix in (".wav", ".flac", ".aiff") else None
    container, chosen = ("OGG", "OPUS") if path.suffix == ".opus" else (None, chosen)
    soundfile.write(path, samples, rate, subtype=chosen, format=container)
    if text is not None:
        path.with_suffix(".lab").write_text(text)
    return path


def speech(number: int, seconds: float = 2.0, rate: int = 44_100) -> Samples:
    """A voice of its own for each number, with silence around it."""
    silence = np.zeros(round(0.3 * rate), np.float32)
    return np.concatenate([silence, voice(seconds, rate, 90 + 3 * number, number), silence])


def write_corpus(folder: Path, count: int, seconds: float = 2.0, rate: int = 44_100) -> Path:
    """Sound recordings, all of them in order."""
    for number in range(count):
        write_recording(
            folder, f"a{number:03}.wav", speech(number, seconds, rate), rate, text=text_of(number)
        )
    return folder


PLANTED = {
    "p01.wav": "is clipped",
    "p02.wav": "is very quiet",
    "p03.wav": "is at 8,000 Hz, but most are at 44,100 Hz",
    "p04.wav": "has two channels of opposite phase",
    "p05.wav": "is 191.0 s long, but the limit is 190.0 s",
    "p06.wav": "is too short for its text",
    "p07.wav": "is the same recording as a007.wav",
    "p08.lab": "is in Cyrillic letters, but most texts in Latin",
    "p09.lab": "has the digits",
    "p10.lab": "may be an abbreviation",
    "p11.wav": "is silent",
    "p12.wav": "is an empty file",
    "p13.mp3": "cannot be read as sound",
    "p14.wav": "has no text",
    "p15.lab": "which has no recording",
}


def plant(folder: Path) -> None:
    """Fifteen oddities, each of which a survey must name."""
    loud = np.clip(speech(41) * 20, -1, 1)
    write_recording(folder, "p01.wav", loud, text=text_of(41))
    write_recording(folder, "p02.wav", speech(42) * 0.03, text=text_of(42), subtype="FLOAT")
    write_recording(folder, "p03.wav", speech(43, rate=8_000), 8_000, text=text_of(43))
    one = speech(44)
    write_recording(folder, "p04.wav", np.stack([one, -one], axis=1), text=text_of(44))
    long = np.tile(voice(1, 8_000), 191)
    write_recording(folder, "p05.wav", long, 8_000, text=text_of(45))
    write_recording(folder, "p06.wav", speech(46, 0.4), text=text_of(46, 12))
    write_recording(folder, "p07.wav", speech(7), text=text_of(47))
    write_recording(folder, "p08.wav", speech(48), text="тихий вечер у самого моря")
    write_recording(folder, "p09.wav", speech(49), text="vuonna 1984 satoi lunta")
    write_recording(folder, "p10.wav", speech(50), text="meren esim. tyynen rannalla")
    write_recording(folder, "p11.wav", np.zeros(44_100, np.float32), text=text_of(51))
    (folder / "p12.wav").write_bytes(b"")
    (folder / "p12.lab").write_text(text_of(52))
    (folder / "p13.mp3").write_bytes(b"\xff\xfb\x90\x00 no frames" * 40)
    (folder / "p13.lab").write_text(text_of(53))
    write_recording(folder, "p14.wav", speech(54), text=None)
    (folder / "p15.lab").write_text(text_of(55))
