"""What the instance gets: the trainer and the packages it depends on, and nothing else from this
laptop.

The pinned versions come from the release, not from this laptop's environment, which may lack torch
or hold untested versions: one release always gives the same bundle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("fintts_trainer", "fintts_inputs", "fintts_store", "fintts_cost")
READ_HERE = (
    *("cutting", "files", "level", "odd", "piece", "plan", "receipts", "survey"),
    *("timed", "transcripts", "utterance", "wording"),
)
LAPTOP_ONLY = (
    *(f"fintts_inputs/recordings/{name}.py" for name in READ_HERE),
    "fintts_inputs/speech/plan.py",
    "fintts_trainer/answers.py",
    "fintts_trainer/commands/encode.py",
    "fintts_trainer/commands/speak.py",
    "fintts_trainer/recordings/encode.py",
    "fintts_trainer/synthesis/sound.py",
    "fintts_trainer/synthesis/speak.py",
)
"""Parts of these packages that only a laptop needs: it reads and checks recordings, and `fintts
speak` runs here."""
PINS, LOCK, CHECK = "requirements.in", "requirements.txt", "check_requirements.py"
EVAL_PINS, EVAL_LOCK = "eval.in", "requirements-eval.txt"
"""the packages that a run needs besides, if it measures samples; and the lock of all"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder that serves as a task's workdir, and the SHA-256 of its names and bytes."""

    path: Path
    digest: str


def write_bundle(target: Path, *, measures: bool = False) -> Bundle:
    """Writes the bundle into a folder that is new or empty.

    Args:
        measures: whether the run measures its samples, which needs more packages.

    Raises:
        UsageProblem: the folder holds something, or cannot be written.
    """
    sources = dict(sorted(_sources(measures=measures)))
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise UsageProblem(f"{target} is not empty", "the bundle needs an empty folder")
        for name, data in sources.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise UsageProblem(
            f"the bundle cannot be written to {target}: {error.strerror}",
            "free some space there, or set FINTTS_STATE_DIR to another disk",
        ) from error
    return Bundle(target, _digest(sources))


def _sources(*, measures: bool) -> Iterator[tuple[str, bytes]]:
    """The names in the bundle, with their bytes."""
    for package in PACKAGES:
        folder = _folder_of(package)
        for path in folder.rglob("*"):
            name = path.relative_to(folder.parent)
            if path.is_file() and not _stays_here(name):
                yield name.as_posix(), path.read_bytes()
    pins = _instance_file(PINS) + (_instance_file(EVAL_PINS) if measures else b"")
    yield PINS, pins
    yield LOCK, _instance_file(EVAL_LOCK if measures else LOCK)
    yield CHECK, _instance_file(CHECK)


def _instance_file(name: str) -> bytes:
    return files("fintts_templates").joinpath("instance", name).read_bytes()


def _folder_of(package: str) -> Path:
    """The folder of a package's source, in a checkout or in site-packages; the package is not
    imported."""
    spec = find_spec(package)
    assert spec is not None, f"{package} belongs to this program"
    assert spec.origin is not None
    return Path(spec.origin).parent


def _stays_here(name: Path) -> bool:
    """Whether only a laptop needs the file, or an interpreter or an editor left it."""
    is_left_over = any(part == "__pycache__" or part.startswith(".") for part in name.parts)
    return is_left_over or any(name.is_relative_to(part) for part in LAPTOP_ONLY)


def _digest(sources: dict[str, bytes]) -> str:
    """SHA-256 over each name and its own SHA-256, sorted by name."""
    whole = hashlib.sha256()
    for name, data in sources.items():
        whole.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode())
    return whole.hexdigest()
