"""What can be wrong with what a run is made from, each with what to do about it.

InputError
├── FolderMissing        the data or the base model's folder is not where the configuration says
├── DataProblem          the data set is unpaired, empty, misshapen or out of range
├── BaseModelProblem     the base model's folder lacks a file, or its weights do not fit
├── ConfigurationChanged a run is resumed with another configuration than its own
└── BadFactor            FINTTS_HANG_FACTOR is not a factor
"""

from __future__ import annotations

from fintts_store.redaction import without_secrets


class InputError(Exception):
    """One clear sentence in `message`, and in `hint` what to do about it; no secret is in them."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = without_secrets(message)
        self.hint = without_secrets(hint)
        super().__init__(self.message)


class FolderMissing(InputError):
    """The configuration names a folder that is not there, or is not a folder."""


class DataProblem(InputError):
    """The data set cannot be trained on as it is."""


class BaseModelProblem(InputError):
    """The base model cannot be read strictly."""


class ConfigurationChanged(InputError):
    """The run in the store was started with another configuration."""


class BadFactor(InputError):
    """The environment has a wrong factor for how slow the machine is."""
