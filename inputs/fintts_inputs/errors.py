"""Errors in a run's inputs; each says what to do.

InputError
├── FolderMissing        the folder of the data or base model in the configuration does not exist
├── DataProblem          the data set is unpaired, empty, misshapen or out of range
├── BaseModelProblem     the base model's folder lacks a file, or its weights do not fit
├── EvalModelProblem     a model that measures samples is missing, or of another kind
├── CodecProblem         there is no codec, it is not the base model's, or a wave does not fit it
├── SpeechProblem        the text to speak, or the voice to imitate, cannot be used
├── ConfigurationChanged the configuration differs from that of the run to resume
└── BadFactor            FINTTS_HANG_FACTOR is not a factor
"""

from __future__ import annotations

from fintts_store.output.redaction import without_secrets


class InputError(Exception):
    """`message` is one clear sentence, `hint` says what to do; neither contains a secret."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = without_secrets(message)
        self.hint = without_secrets(hint)
        super().__init__(self.message)


class FolderMissing(InputError):
    """The configuration names a folder that does not exist, or is not a folder."""


class DataProblem(InputError):
    """The data set cannot be used for training as it is."""


class BaseModelProblem(InputError):
    """The base model is damaged, incomplete or not supported."""


class EvalModelProblem(InputError):
    """A model that measures samples is missing, damaged or of another kind."""


class CodecProblem(InputError):
    """There is no codec, it does not belong to the base model, or its input does not fit."""


class SpeechProblem(InputError):
    """The text to speak or the reference recording cannot be used with this model."""


class ConfigurationChanged(InputError):
    """The run in the store was started with another configuration."""


class BadFactor(InputError):
    """FINTTS_HANG_FACTOR, the factor for slow machines, is invalid."""
