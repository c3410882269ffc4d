"""How a process of the trainer ends: what the launcher and `conclude` read, and the run script."""

from __future__ import annotations

DONE = 0
FAILED = 1
STORE_FAILED = 5
PREEMPTED = 75
"""another job goes on, from the newest committed checkpoint"""
PEER_LOST = 76
"""a process of several lost another one; only the launcher sees it"""
SIGNALLED = 128
"""and the number of the signal that ended it, as a shell says it"""
INTERRUPTED = 130
"""Ctrl-C"""
