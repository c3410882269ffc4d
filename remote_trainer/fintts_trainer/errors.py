"""What can go wrong in the trainer; each error says what to do.

TrainerError
├── DiskTooSmall         the checkpoints to keep would not fit, or the disk has filled up
├── MemoryTooSmall       a step does not fit, however it is cut
├── CannotCompile        training.compile is set where torch has no compiler
├── BadTeam              the environment asks for processes that cannot be
├── PeerLost             another process of the same run has ended, so this one cannot go on
└── NoRun                the store holds no such run
"""

from __future__ import annotations

from fintts_store.redaction import without_secrets


class TrainerError(Exception):
    """One clear sentence in `message`, and in `hint` what to do about it; no secret is in them."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = without_secrets(message)
        self.hint = without_secrets(hint)
        super().__init__(self.message)


class DiskTooSmall(TrainerError):
    """Checkpoints of the measured size would fill the disk during the run, or something has."""


class MemoryTooSmall(TrainerError):
    """Not even the longest utterance alone fits into the device's memory."""


class CannotCompile(TrainerError):
    """torch lacks what training.compile needs."""


class BadTeam(TrainerError):
    """The environment says what cannot be about the processes of a run."""


class PeerLost(TrainerError):
    """Another process of the run has ended; what it said itself is the reason."""


class NoRun(TrainerError):
    """The store holds no such run."""
