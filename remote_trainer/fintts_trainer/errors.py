"""What can go wrong in the trainer, each with its mend.

TrainerError
├── FolderMissing        the data or the base model's folder is not where the configuration says
├── DataProblem          the data set is unpaired, empty, misshapen or out of range
├── BaseModelProblem     the base model's folder lacks a file, or its weights do not fit
├── ConfigurationChanged a run is resumed with another configuration than its own
├── DiskTooSmall         the checkpoints to keep would not fit, or the disk has filled up
├── MemoryTooSmall       a step does not fit, however it is cut
├── CannotCompile        training.compile is set where torch has no compiler
├── BadTeam              the environment asks for processes that cannot be
├── BadFactor            FINTTS_HANG_FACTOR is no factor
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


class FolderMissing(TrainerError):
    """The configuration names a folder that is not there, or is none."""


class DataProblem(TrainerError):
    """The data set cannot be trained on as it is."""


class BaseModelProblem(TrainerError):
    """The base model cannot be read strictly."""


class ConfigurationChanged(TrainerError):
    """The run in the store was started with another configuration."""


class DiskTooSmall(TrainerError):
    """Checkpoints of the measured size would fill the disk during the run, or something has."""


class MemoryTooSmall(TrainerError):
    """Not even the longest utterance alone fits into the device's memory."""


class CannotCompile(TrainerError):
    """torch lacks what training.compile needs."""


class BadTeam(TrainerError):
    """The environment says what cannot be about the processes of a run."""


class BadFactor(TrainerError):
    """The environment says what cannot be about how slow the machine is."""


class PeerLost(TrainerError):
    """Another process of the run has ended; what it said itself is the reason."""


class NoRun(TrainerError):
    """The store holds no such run."""
