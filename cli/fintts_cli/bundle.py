"""What the instance gets: the trainer and what it stands on, as plain source, and nothing else."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("fintts_trainer", "fintts_store", "fintts_cost")
INSTANCE_FILES = ("check_requirements.py", "requirements.txt")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A written bundle; the digest is of names and contents, so equal code has an equal digest."""

    path: Path
    digest: str


def write_bundle(target: Path) -> Bundle:
    """Writes the bundle in place of what was at `target`.

    The packages are found as Python finds them, so a checkout and an installed wheel give the same.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for package in PACKAGES:
        source = _folder_of(package)
        shutil.copytree(source, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in INSTANCE_FILES:
        shutil.copyfile(_folder_of("fintts_templates") / "instance" / name, target / name)
    return Bundle(target, _digest_of(target))


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    return Path(spec.origin).parent


def _digest_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()
