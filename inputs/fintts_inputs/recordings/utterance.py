"""One recording with its text, and how to cut and amplify it before encoding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.recordings.sound import Unreadable, amplified, read_sound

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_inputs.recordings.piece import Piece
    from fintts_inputs.recordings.sound import Samples


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording that was read and measured.

    Attributes:
        name: relative path without suffix, in NFC; its codes get this name.
        file: the relative path, as it may be shown.
        text_place: the file of the text, with the line in a list.
        digest: SHA-256 of the samples of the whole recording.
        begin: the first sample of the speech; `end` is one past the last.
        loudness: of the speech, in LUFS.
        gain: the factor to amplify by.
        piece: of a long recording; digest, begin and end are then of this piece.
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
    piece: Piece | None = None

    @property
    def seconds(self) -> float:
        """Length of the speech, without the silence at the ends."""
        return (self.end - self.begin) / self.rate

    @property
    def loudness_after(self) -> float:
        """In LUFS, after the gain."""
        return self.loudness + 20 * math.log10(self.gain)

    @property
    def characters_per_second(self) -> float:
        """Letters and digits of the text over the seconds of speech."""
        return sum(character.isalnum() for character in self.text) / self.seconds


def prepared(
    path: Path,
    digest: str,
    begin: int,
    end: int,
    gain: float,
    rate: int,
    piece: Piece | None = None,
) -> Samples:
    """The speech of a recording, cut, amplified and resampled.

    Raises:
        Unreadable: it cannot be read, or has changed since the survey.
    """
    sound = read_sound(path, math.inf, piece=piece)
    if sound.digest != digest:
        raise Unreadable("has changed since it was checked; run the command again")
    return amplified(sound.samples[begin:end], sound.rate, gain, rate)
