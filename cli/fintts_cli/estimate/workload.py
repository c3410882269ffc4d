"""How much there is to train on: counts file names, and opens only a few files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from fintts_cli.estimate.figures import TYPICAL_FRAMES, TYPICAL_TEXT_TOKENS, Workload
from fintts_inputs.data.pairs import pairs_among, split
from fintts_inputs.errors import DataProblem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fintts_inputs.data.check import DataReport
    from fintts_inputs.recordings.utterance import Utterance

Item = TypeVar("Item")

LOOKED_AT = 64
BYTES_PER_TOKEN = 3.0
"""of UTF-8 text; the base models' tokenizers show 2.5 to 4"""

_SHAPE = re.compile(rb"'shape': \((\d+), (\d+)\)")
_HEADER_BYTES = 256


def workload_of_files(folder: Path, files: Mapping[str, Path], fraction: float) -> Workload:
    """Splits the pairs among a folder's files as the trainer does, and samples some of them.

    Raises:
        DataProblem: the folder holds too little.
    """
    pairs = pairs_among(files)
    if not pairs:
        raise DataProblem(
            f"{folder} has no pairs of .npy and .lab files",
            f"`fintts data check {folder}` shows what it holds",
        )
    seen = _some(list(pairs.values()))
    text_bytes, frames = (
        [_text_bytes(each.text) for each in seen],
        [_frames(each.codes) for each in seen],
    )
    return _workload(list(pairs), text_bytes, frames, fraction)


def workload_of_report(report: DataReport, fraction: float) -> Workload:
    """The same from a folder that was checked and found without problems.

    Raises:
        DataProblem: the folder holds too little.
    """
    seen = _some(report.utterances)
    text_bytes = [_text_bytes(each.files.text) for each in seen]
    frames = [float(each.frames) for each in seen]
    return _workload([each.name for each in report.utterances], text_bytes, frames, fraction)


def workload_of_recordings(
    utterances: Sequence[Utterance], frames_per_second: float, fraction: float
) -> Workload:
    """The same from recordings that are not encoded yet.

    Raises:
        DataProblem: there are too few.
    """
    each = {one.name: (len(one.text.encode()), one.seconds) for one in utterances}
    return workload_of_lengths(each, frames_per_second, fraction)


def workload_of_lengths(
    each: Mapping[str, tuple[int, float]], frames_per_second: float, fraction: float
) -> Workload:
    """The same from names with the bytes of their texts and the seconds of their recordings; or
    with their frames, one of which is then a second.

    Raises:
        DataProblem: there are too few.
    """
    text_bytes = [float(size) for size, _ in each.values()]
    frames = [seconds * frames_per_second for _, seconds in each.values()]
    return _workload(list(each), text_bytes, frames, fraction)


def _some(items: Sequence[Item]) -> Sequence[Item]:
    """At least `LOOKED_AT` of them, evenly spaced."""
    return items[:: max(len(items) // LOOKED_AT, 1)]


def _workload(
    names: Sequence[str], text_bytes: Sequence[float], frames: Sequence[float], fraction: float
) -> Workload:
    parts = split(names, fraction)
    return Workload(
        samples=len(parts.train),
        held_out=len(parts.held_out),
        text_tokens=_mean(text_bytes) / BYTES_PER_TOKEN,
        frames=_mean(frames),
    )


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _text_bytes(path: Path) -> float:
    try:
        return float(path.stat().st_size)
    except OSError:
        return TYPICAL_TEXT_TOKENS * BYTES_PER_TOKEN


def _frames(path: Path) -> float:
    """Reads only the header; skips a file without one, which `fintts data check` names."""
    if not path.is_file():  # a pipe would keep the estimate waiting
        return TYPICAL_FRAMES
    try:
        with path.open("rb") as file:
            found = _SHAPE.search(file.read(_HEADER_BYTES))
    except OSError:
        found = None
    return float(found[2]) if found else TYPICAL_FRAMES
