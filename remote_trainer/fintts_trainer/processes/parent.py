"""Ends a process with its parent, which alone watches it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT = "FINTTS_PARENT"
"""the environment's name for the process id of the watchdog's process"""
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Has the kernel kill this process when its parent ends, however that ends."""
    parent = os.environ.get(PARENT)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it has ended before the kernel knew
        os._exit(1)
