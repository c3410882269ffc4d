"""How a process of the trainer ends: what the launcher and `conclude` read, and the run script."""

from __future__ import annotations

DONE = 0
FAILED = 1
STORE_FAILED = 5
PREEMPTED = 75
"""all is saved, another job goes on"""
PEER_LOST = 76
"""a process of several lost another one; only the launcher sees it"""
INTERRUPTED = 130
"""Ctrl-C"""
