"""Keeps freed memory in the process, so that a step on a CPU need not ask for it again.

glibc gives every large block back to the kernel as soon as it is freed, and each page that comes
anew is cleared first. A training step frees and asks for the same blocks over and over: keeping
them takes a seventh off a step of a scaled OpenAudio S1-mini (`benchmarks/step.py`, 8 rounds).
"""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Parameters of mallopt(3), from glibc's malloc.h."""

NEVER_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Has malloc serve large blocks from the heap and never shrink it; a GPU has its own way.

    Returns False where the C library has no such switch, as musl and macOS; all works there too,
    but slower.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, NEVER_BYTES))
