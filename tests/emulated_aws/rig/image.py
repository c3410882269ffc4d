"""The disk that every instance starts from: a layer over this machine's own root, built once.

The layer holds what SkyPilot would otherwise download onto a new instance, and hides what an
instance must not see of the machine below: homes, checkouts, anything but the operating system.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rig.namespaces import SYSTEM_PATH, unshare

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
FOLDER = REPOSITORY / ".emulated-aws"
"""ignored by git; everything that the rig keeps from one start to the next"""
LAYER = FOLDER / "image"
WHEELS = FOLDER / "wheels"
"""what the emulated laptop's pip has instead of a registry"""
BUILD_BACKEND = ("setuptools==69.5.1", "wheel==0.45.1")
"""with it SkyPilot's client builds the wheel of itself that it sends to an instance"""
RECIPE = (HERE / "image.sh", HERE / "image_packages.sh", HERE / "image_requirements.txt")
PYTHON = (3, 11)
"""of the image: this interpreter's packages are mounted into it"""
OPERATING_SYSTEM = frozenset(
    {"bin", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr", "var"}
)
EMPTY = ("home", "mnt", "opt", "root", "tmp")
"""folders of the operating system whose content is this machine's own"""
FROM_THE_REGISTRY = ("PIP_", "UV_", "SSL_", "CURL_", "REQUESTS_")
"""variables by these prefixes tell pip and curl how this machine reaches a package registry"""


def build() -> None:
    """Builds the image, unless it is there and made by the same recipe.

    Needs root, Debian's packages and a package registry; raises SystemExit where the interpreter's
    packages cannot serve the image's Python.
    """
    if sys.version_info[:2] != PYTHON:
        raise SystemExit(f"the image has Python {PYTHON[0]}.{PYTHON[1]}: make PYTHON=python3.11")
    with _lock():
        if not _is_current():
            _remove(LAYER)
            _download_build_backend()
            _build_layer()


def _is_current() -> bool:
    made_by = LAYER / "recipe"
    return made_by.exists() and made_by.read_text() == _fingerprint()


def _fingerprint() -> str:
    """Of all that the layer depends on."""
    digest = hashlib.sha256(repr(_not_of_the_system()).encode())
    for path in (Path(__file__), *RECIPE):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _build_layer() -> None:
    upper = LAYER / "upper"
    upper.mkdir(parents=True)
    _hide_the_machine(upper)
    subprocess.run(
        [*unshare(), "bash", str(RECIPE[0]), str(LAYER), str(HERE)],
        check=True,
        env=_build_environment(),
    )
    (LAYER / "recipe").write_text(_fingerprint())


def _download_build_backend() -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", str(WHEELS), *BUILD_BACKEND], check=True)


def _hide_the_machine(upper: Path) -> None:
    """Marks in an overlay's own notation: nothing shows through an opaque folder, and a character
    device 0:0 stands for a file that was deleted."""
    for name in EMPTY:
        (upper / name).mkdir()
        (upper / name).chmod(stat.S_IMODE(Path("/", name).stat().st_mode))
        os.setxattr(upper / name, "trusted.overlay.opaque", b"y")
    for name in _not_of_the_system():
        os.mknod(upper / name, stat.S_IFCHR, os.makedev(0, 0))


def _not_of_the_system() -> list[str]:
    """Whatever else lies at the top of this machine's root."""
    names = {path.name for path in Path("/").iterdir()}
    return sorted(names - OPERATING_SYSTEM - set(EMPTY))


def _build_environment() -> dict[str, str]:
    passed_on = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(FROM_THE_REGISTRY) or name.lower().endswith("_proxy")
    }
    return passed_on | {"PATH": SYSTEM_PATH}


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


@contextmanager
def _lock() -> Iterator[None]:
    """Held by one builder at a time; the system releases it, however the builder ends."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
