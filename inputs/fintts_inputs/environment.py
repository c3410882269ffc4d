"""Environment variables of the trainer's processes that both sides set."""

PARENT = "FINTTS_PARENT"
"""the process id of the parent; the process ends when its parent ends"""
