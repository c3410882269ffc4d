"""The arithmetic of a run: schedule, early stopping, bill. Standard library only, no I/O."""

__version__ = "0.1.0"
