"""Measures how far what a model speaks is from the recordings of the same texts.

    fintts cloud listen --json > samples.json
    python measure_distance.py samples.json

Prints the distance of the base model and of the best checkpoint; exits with 1 unless the best one
is clearly closer. The distance is that of 12 mel-frequency cepstral coefficients, loudness left
out, along the alignment in time that makes it least (dynamic time warping).
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fintts_cli.speech.mel import BANDS, log_mel, read_wav

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

COEFFICIENTS = 12
AUDIBLE_DB = 60.0
"""below the loudest place; what is quieter counts as that"""
COMPARED = ("base", "best")
CLEARLY = 0.9
"""share of the base model's distance that the best one may have at most"""


def cepstra(wav: Path) -> Numbers:
    """Mel-frequency cepstral coefficients 1 to 12, [frames, 12], in decibels."""
    loudness = log_mel(*read_wav(wav.read_bytes()))
    audible = np.maximum(loudness, loudness.max() - AUDIBLE_DB)
    orders, bands = np.arange(1, COEFFICIENTS + 1)[:, None], np.arange(BANDS)[None]
    cosines = math.sqrt(2 / BANDS) * np.cos(np.pi * orders * (bands + 0.5) / BANDS)
    return (cosines @ audible).T


def distance(first: Numbers, second: Numbers) -> float:
    """Mean distance along the best alignment (Sakoe and Chiba, 1978; symmetric, unbounded)."""
    apart = np.linalg.norm(first[:, None] - second[None], axis=-1)
    least = np.full((len(first) + 1, len(second) + 1), np.inf)
    least[0, 0] = 0
    for i, row in enumerate(apart.tolist(), 1):
        for j, here in enumerate(row, 1):
            diagonal = least[i - 1, j - 1] + 2 * here
            least[i, j] = min(diagonal, least[i - 1, j] + here, least[i, j - 1] + here)
    return float(least[-1, -1]) / (len(first) + len(second))


def distances(listened: Mapping[str, object]) -> dict[str, float]:
    """Voice → mean distance to the recordings, for the texts that it and they say."""
    samples = listened["samples"]
    assert isinstance(samples, list)
    original = {one["text"]: one["path"] for one in samples if one["voice"] == "original"}
    found: dict[str, list[float]] = {}
    for one in samples:
        name = "best" if one["best"] else str(one["voice"])
        if name in COMPARED and one["text"] in original:
            pair = (cepstra(Path(path)) for path in (one["path"], original[one["text"]]))
            found.setdefault(name, []).append(distance(*pair))
    return {name: float(np.mean(each)) for name, each in found.items()}


def main(path: Path) -> int:
    """Returns 0 if the best checkpoint is clearly closer than the base model."""
    found = distances(json.loads(path.read_text(encoding="utf-8")))
    if missing := [name for name in COMPARED if name not in found]:
        sys.exit(f"error: {path} has no text by both the {missing[0]} voice and a recording")
    print(f"distance to the recordings: base model {found['base']:.1f}, best {found['best']:.1f}")
    return 0 if found["best"] <= CLEARLY * found["base"] else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
