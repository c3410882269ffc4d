"""Keeps freed memory in the process, which speeds up steps on a CPU.

glibc returns every large block to the kernel as soon as it is freed, and the kernel clears each
page that it hands out. A training step frees and allocates the same blocks over and over; keeping
them makes a step of a scaled OpenAudio S1-mini a seventh shorter (`benchmarks/step.py`, 8 rounds).
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Parameters of mallopt(3), from glibc's malloc.h."""

NEVER_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Makes malloc serve large blocks from the heap and never shrink it; has no effect on a GPU's
    memory.

    Returns False if the C library has no such switch, like musl's and macOS's; steps are only
    slower then.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, NEVER_BYTES))


def return_freed_memory() -> None:
    """Returns what malloc has kept to the kernel, so that the next allocations show in the memory
    of the process; has no effect on C libraries other than glibc."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
