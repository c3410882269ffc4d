"""The type of the file system that holds a folder."""

from pathlib import Path
from typing import NamedTuple

MOUNTS = Path("/proc/self/mounts")
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


def file_system_of(folder: Path, mounts: Path = MOUNTS) -> str:
    """The type, such as `ext4` or `cifs`; empty if unknown. The folder need not exist."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
        place = folder.resolve()
    except OSError:
        return ""
    mounted = [_mounted(line.split()) for line in lines]
    around = [one for one in mounted if place.is_relative_to(one.at)]
    # Of two at one place the later one covers the earlier: max() takes the first of equals.
    nearest = max(reversed(around), key=lambda one: len(one.at.parts), default=None)
    return "" if nearest is None else nearest.kind


class _Mount(NamedTuple):
    at: Path
    kind: str


def _mounted(fields: list[str]) -> _Mount:
    return _Mount(Path(_plain(fields[1])), fields[2])


def _plain(text: str) -> str:
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    return text
