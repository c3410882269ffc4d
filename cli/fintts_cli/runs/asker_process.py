"""Whether the process that asks for an instance is still there."""

from __future__ import annotations

import os


def is_asking(pid: int | None) -> bool:
    """Whether another process of this machine has that number; this one knows what it does."""
    if pid is None or pid <= 0 or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
