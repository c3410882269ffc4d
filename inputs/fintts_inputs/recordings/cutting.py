"""Where a long recording is cut, by texts with times.

Such times are off by some tenths of a second. So a cut goes to the quietest place near them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fintts_inputs.recordings.piece import Piece
from fintts_inputs.recordings.sound import Unreadable, opened
from fintts_inputs.recordings.timed import TOLERANCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import soundfile

    from fintts_inputs.recordings.timed import Cue

    Levels = npt.NDArray[np.float64]

HOP_SECONDS = 0.01
BLOCK_HOPS = 1000
SMOOTHED = 9
"""hops whose mean power is the level of the middle one"""
EARLIER, LATER = 0.3, 0.5
"""seconds into the text, and away from it, in which the quietest place is looked for"""
NEARLY = 1.5
"""Places with up to this factor of the least power count as equally quiet."""


def pieces_of(path: Path, cues: Sequence[Cue]) -> list[Piece]:
    """The part of a recording for each text. Reads it in blocks.

    Raises:
        Unreadable: it is not a recording, is damaged, or ends before a text does.
    """
    with opened(path) as file:
        rate, hop = file.samplerate, _hop(file)
        levels = np.concatenate([np.zeros(0), *_levels(file)])
    seconds = len(levels) * hop / rate
    late = next((cue for cue in cues if cue.end > seconds + TOLERANCE_SECONDS), None)
    if late is not None:
        raise Unreadable(
            f"is {seconds:,.1f} s long, but the text from {late.begin:,.1f} s on "
            f"(cue {late.number}) ends at {late.end:,.1f} s"
        )
    return [
        Piece(begin * hop, (end - begin) * hop) for begin, end in cuts(levels, cues, hop / rate)
    ]


def cuts(levels: Levels, cues: Sequence[Cue], hop_seconds: float) -> list[tuple[int, int]]:
    """First hop of each text and the one after its last, in order and without overlap.

    Args:
        levels: mean power of each hop.
    """
    smooth = np.convolve(levels, np.ones(SMOOTHED) / SMOOTHED, mode="same")
    found: list[tuple[int, int]] = []
    last_end, length = 0, len(levels) * hop_seconds
    for number, cue in enumerate(cues):
        inside = min(EARLIER, cue.seconds / 2)
        before = cues[number - 1].end - EARLIER if number else 0.0
        after = cues[number + 1].begin + EARLIER if number + 1 < len(cues) else length
        begin = _quietest(
            smooth, max(cue.begin - LATER, before) / hop_seconds, (cue.begin + inside) / hop_seconds
        )
        end = _quietest(
            smooth, (cue.end - inside) / hop_seconds, min(cue.end + LATER, after) / hop_seconds
        )
        begin = max(begin, last_end)
        last_end = max(end, begin + 1)
        found.append((begin, last_end))
    return found


def _quietest(levels: Levels, begin: float, end: float) -> int:
    """The middle of the quietest places between two hops."""
    first = min(max(0, round(begin)), len(levels) - 1)
    near = levels[first : max(first + 1, round(end))]
    quiet = np.flatnonzero(near <= near.min() * NEARLY + 1e-12)
    return first + int(quiet[len(quiet) // 2])


def _hop(file: soundfile.SoundFile) -> int:
    return max(1, round(HOP_SECONDS * int(file.samplerate)))


def _levels(file: soundfile.SoundFile) -> Iterator[Levels]:
    """The mean power of each hop, block by block."""
    hop, read = _hop(file), 0
    while len(block := file.read(BLOCK_HOPS * hop, dtype="float32", always_2d=True)):
        read += len(block)
        power = np.square(block, dtype=np.float64).mean(axis=1)
        if not np.isfinite(power).all():
            raise Unreadable("has samples that are not finite")
        yield np.pad(power, (0, -len(power) % hop)).reshape(-1, hop).mean(axis=1)
    if not read:
        raise Unreadable("has no samples")
    if file.format in ("FLAC", "WAV") and read < file.frames:
        raise Unreadable(f"is truncated: it has {read:,} of its {file.frames:,} samples")
