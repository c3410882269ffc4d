"""The trainer's errors, each with a hint for the user.

TrainerError
├── DiskTooSmall         the checkpoints to keep would not fit, or the disk is full
├── MemoryTooSmall       not even the smallest micro-batch of a step fits
├── CannotCompile        training.compile is set, and torch has no compiler
├── BadProcessLayout              the environment asks for an impossible set of processes
├── PeerLost             another process of the run has ended, so this one cannot continue
└── NoRun                the store holds no such run
"""

from __future__ import annotations

from fintts_store.output.redaction import without_secrets


class TrainerError(Exception):
    """`message` is one clear sentence, `hint` says what to do; neither contains a secret."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = without_secrets(message)
        self.hint = without_secrets(hint)
        super().__init__(self.message)


class DiskTooSmall(TrainerError):
    """The checkpoints to keep would not fit onto the disk, or the disk is full."""


class MemoryTooSmall(TrainerError):
    """Not even the longest utterance alone fits into the device's memory."""


class CannotCompile(TrainerError):
    """torch lacks what training.compile needs."""


class BadProcessLayout(TrainerError):
    """The environment describes an impossible set of processes."""


class PeerLost(TrainerError):
    """Another process of the run has ended; that process reports the reason."""


class NoRun(TrainerError):
    """The store holds no such run."""
