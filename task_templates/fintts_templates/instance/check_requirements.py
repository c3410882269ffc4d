"""Lists the pinned packages that this interpreter lacks; exit code 0 if it lacks none.

This runs first on an instance, with any Python, so it uses nothing newer than Python 3.8.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

OLDEST_PYTHON = (3, 11)


def read_pins(path: Path) -> dict[str, str]:
    """Name → version of each `name==version`."""
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pins = [line.partition("==") for line in lines if line]
    return {name: pinned for name, _, pinned in pins}


def installed_version(name: str) -> str | None:
    """The version without its local part: torch 2.13.0+cpu is torch 2.13.0."""
    try:
        return version(name).split("+")[0]
    except PackageNotFoundError:
        return None


def problems(pins: dict[str, str]) -> list[str]:
    """One line for each package that is missing or has another version."""
    found = {name: installed_version(name) for name in pins}
    lines = [
        f"{name} {pinned} is pinned, but {found[name] or 'none'} is installed"
        for name, pinned in pins.items()
        if found[name] != pinned
    ]
    if sys.version_info < OLDEST_PYTHON:
        here = ".".join(str(part) for part in sys.version_info[:3])
        lines.insert(0, f"Python 3.11 or newer is needed, but this is {here}")
    return lines


if __name__ == "__main__":
    lacking = problems(read_pins(Path(sys.argv[1])))
    sys.stderr.write("".join(f"{sys.executable}: {line}\n" for line in lacking))
    sys.exit(1 if lacking else 0)
