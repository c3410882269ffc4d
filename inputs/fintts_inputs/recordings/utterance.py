"""One recording with its text: how it is to be cut and raised before it is encoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fintts_inputs.recordings.sound import Unreadable, at_rate, read_sound

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_inputs.recordings.sound import Samples


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording that was read once.

    Attributes:
        name: relative path without suffix, in NFC; its codes get this name.
        file: the relative path, as it may be shown.
        text_place: the file of the text, and the line in it where there are several.
        digest: SHA-256 of the samples of the whole recording.
        begin: the first sample of the speech; `end` is the one after the last.
        loudness: of the speech, in LUFS.
        gain: the factor that it is raised by.
    """

    name: str
    file: str
    path: Path
    text: str
    text_place: str
    speaker: str
    digest: str
    rate: int
    channels: int
    seconds_read: float
    begin: int
    end: int
    loudness: float
    gain: float
    clipped: int
    cancelled: bool

    @property
    def seconds(self) -> float:
        """Of speech, without the silence at the ends."""
        return (self.end - self.begin) / self.rate

    @property
    def loudness_after(self) -> float:
        """In LUFS, once it is raised."""
        return self.loudness + 20 * math.log10(self.gain)

    @property
    def characters_per_second(self) -> float:
        """Letters and digits of the text over the seconds of speech."""
        return sum(character.isalnum() for character in self.text) / self.seconds


def prepared(path: Path, digest: str, begin: int, end: int, gain: float, rate: int) -> Samples:
    """The speech of a recording, cut, raised, and at the codec's rate.

    Raises:
        Unreadable: it cannot be read, or is another one than when it was looked at.
    """
    sound = read_sound(path, math.inf)
    if sound.digest != digest:
        raise Unreadable("has changed since it was checked; run the command again")
    return at_rate(sound.samples[begin:end] * np.float32(gain), sound.rate, rate)
