"""How much there is to train on: counts file names, and opens only a few files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fintts_cli.estimate.figures import TYPICAL_FRAMES, TYPICAL_TEXT_TOKENS, Workload
from fintts_inputs.data.pairs import find_pairs, split
from fintts_inputs.errors import DataProblem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOKED_AT = 64
BYTES_PER_TOKEN = 3.0
"""of UTF-8 text; the base models' tokenizers show 2.5 to 4"""

_SHAPE = re.compile(rb"'shape': \((\d+), (\d+)\)")
_HEADER_BYTES = 256


def workload_of_folder(folder: Path, fraction: float) -> Workload:
    """Counts the pairs, splits them as the trainer does, and samples some of them.

    Raises:
        FolderMissing: there is no such folder.
        DataProblem: the folder holds too little.
    """
    pairs = find_pairs(folder)
    if not pairs:
        raise DataProblem(
            f"{folder} holds no pairs of .npy and .lab files",
            f"`fintts data check {folder}` shows what it holds",
        )
    parts = split(list(pairs), fraction)
    seen = list(pairs.values())[:: max(len(pairs) // LOOKED_AT, 1)]
    return Workload(
        samples=len(parts.train),
        held_out=len(parts.held_out),
        text_tokens=_mean([_text_bytes(files.text) for files in seen]) / BYTES_PER_TOKEN,
        frames=_mean([_frames(files.codes) for files in seen]),
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
