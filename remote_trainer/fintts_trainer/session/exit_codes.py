"""The exit codes of a trainer process, read by the launcher, `conclude` and the run script."""

from __future__ import annotations

DONE = 0
FAILED = 1
STORE_FAILED = 5
PREEMPTED = 75
"""another job continues from the newest committed checkpoint"""
PEER_LOST = 76
"""a process lost another one of the run; only the launcher sees it"""
SIGNALLED = 128
"""plus the number of the signal that ended the process, as in a shell"""
INTERRUPTED = 130
"""Ctrl-C"""
