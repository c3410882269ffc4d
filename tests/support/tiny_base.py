"""A tiny base model: the fixture with Fish Speech's own files, and fixtures of pytest on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from fintts_inputs.base_model.families import read_config
from fintts_trainer.families.base import Example
from fintts_trainer.families.fish import FishBase, FishFamily
from tiny_run import TINY


@pytest.fixture
def base() -> FishBase:
    """The S1-mini-like tiny model: 4 codebooks of 64."""
    return FishFamily().open(read_config(TINY))


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(TINY, tmp_path / "base"))


@pytest.fixture
def examples(base: FishBase) -> list[Example]:
    """Five utterances of different lengths."""
    generator = np.random.default_rng(1)
    lengths = [5 + 3 * n for n in range(5)]
    return [
        base.encode(f"Rivi {n}, sana" * (n + 1), generator.integers(0, 64, (4, frames)))
        for n, frames in enumerate(lengths)
    ]
