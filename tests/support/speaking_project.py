"""A project that can speak: a tiny base model with its codec, a run, and data."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from fintts_store.backends.directory import DirectoryStore
from parity_fixtures import HERE
from tiny_export import write_run
from tiny_run import TINY

CODEC = HERE / "codec_for_fish_s1_tiny"
TEXT = "Hyvää huomenta"
SETTINGS = "base_model: base\ndata: speech\nstore: ../store\n"


def write_speaking_project(folder: Path) -> Path:
    """`project` and `store` in the folder; the run `mine` has steps 100, the best, and 200."""
    project = folder / "project"
    shutil.copytree(TINY, project / "base")
    shutil.copytree(CODEC, project / "base", dirs_exist_ok=True)
    write_run(DirectoryStore(folder / "store"), project / "base", folder)
    (project / "speech").mkdir()
    for number in range(12):
        np.save(project / "speech" / f"{number}.npy", np.ones((4, 5), np.int16))
        (project / "speech" / f"{number}.lab").write_text(f"{TEXT} {number}\n")
    (project / "fintts.yaml").write_text(SETTINGS)
    return project
