"""The Python that has a tracker's library: this one, or an environment made for the library.

Trackers depend on versions that are not ours, so they never share the trainer's packages. Every
distribution is verified by its SHA-256, as those of the trainer are.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fintts_inputs.trackers import Tracker

HERE = Path(__file__).parent


def pinned_version(tracker: Tracker) -> str:
    """The version that the trainer is tested with."""
    lines = (HERE / f"{tracker}.in").read_text(encoding="utf-8").splitlines()
    [pin] = [line for line in lines if line.startswith(f"{tracker}==")]
    return pin.partition("==")[2]


def has_library(tracker: Tracker) -> bool:
    """Whether this Python has that version."""
    try:
        return version(tracker) == pinned_version(tracker)
    except PackageNotFoundError:
        return False


def install(tracker: Tracker, folder: Path, run: Callable[[Sequence[str]], None]) -> Path:
    """Makes an environment with the library in the folder; returns its Python.

    Args:
        run: runs one command, and raises if it fails.
    """
    python, lock = folder / "bin" / "python", HERE / f"{tracker}.txt"
    exact = ("--quiet", "--require-hashes", "--requirement", str(lock))
    search = os.pathsep.join([os.environ.get("PATH", ""), str(Path("~/.local/bin").expanduser())])
    uv = shutil.which("uv", path=search)  # SkyPilot installs it there
    if uv is not None:
        run(
            [
                uv,
                "venv",
                "--quiet",
                "--no-config",
                "--clear",
                "--python",
                sys.executable,
                str(folder),
            ]
        )
        run([uv, "pip", "install", "--no-config", "--python", str(python), *exact])
    else:
        run([sys.executable, "-P", "-m", "venv", "--clear", str(folder)])
        run([str(python), "-P", "-m", "pip", "install", *exact])
    return python
