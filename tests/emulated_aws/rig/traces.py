"""What a rig could leave behind on the machine, or enclosure, that it ran on."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

KINDS = ("mnt", "net", "pid")


def traces() -> dict[str, list[str]]:
    """Of each kind what there is now; the same before and after if nothing was left."""
    processes = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
    return {
        "processes": sorted(filter(None, map(_command_line, processes))),
        "namespaces": sorted({name for pid in processes for name in _namespaces(pid)}),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "mounts": Path("/proc/self/mounts").read_text().splitlines(),
        "files": [
            str(path)
            for pattern in ("tmp/emulated-aws-*", "run/netns/*", "mnt/*", "dev/shm/*")
            for path in sorted(Path("/").glob(pattern))
        ],
    }


def _namespaces(pid: int) -> list[str]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return [str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in KINDS]
    return []


def _command_line(pid: int) -> str:
    """Of a living process; empty for one that ended, and for the kernel's own."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""
