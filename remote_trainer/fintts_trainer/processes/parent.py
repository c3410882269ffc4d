"""Ends a process when its parent ends, since nothing else watches it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from fintts_inputs.environment import PARENT

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Has the kernel kill this process when its parent ends, however that ends."""
    parent = os.environ.get(PARENT)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # the parent ended before the kernel knew
        os._exit(1)
