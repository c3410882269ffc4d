"""Recorded outputs of the reference implementations: ours, and those that the environment names."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).parents[1] / "trainer/fixtures"


def recorded_folders(*files: str) -> list[Path]:
    """The folders that hold all of these files."""
    named = [Path(p) for p in os.environ.get("FINTTS_PARITY_FIXTURES", "").split(os.pathsep) if p]
    return [
        folder
        for parent in [HERE, *named]
        for folder in sorted([parent, *parent.iterdir()])
        if all((folder / file).is_file() for file in files)
    ]
