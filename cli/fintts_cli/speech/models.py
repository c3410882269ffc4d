"""The base model and the codec that speak on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.errors import ConfigError
from fintts_cli.settings.hub_model import HubModel
from fintts_inputs.base_model.families import read_shape
from fintts_inputs.codec.find import find_codec_for

if TYPE_CHECKING:
    from fintts_cli.settings.model import Settings

BY_OPTION = "use --codec for one elsewhere"
"""what a command with that option advises where there is no codec"""


def base_folder(settings: Settings) -> Path:
    """The base model's folder. Raises ConfigError if there is none on this machine."""
    model = settings.base_model
    if isinstance(model, HubModel):
        raise ConfigError(
            f"the base model {model} is not on this machine yet",
            f"download it with its codec: hf download {model.repository} --local-dir DIR, then "
            "give --base-model DIR",
        )
    if model is None:
        raise ConfigError("no base model is given", "set base_model, or give --base-model DIR")
    return model


def codec_of(named: Path | None, model: Path, base_model: Path | HubModel | None) -> Path:
    """The codec's file or folder.

    Args:
        named: by the user; None is the codec beside the base model.
        model: the folder of the model that speaks.
        base_model: the base model of the settings, beside which the codec of a merged model lies.

    Raises:
        CodecProblem: there is none, or it does not fit the model.
        BaseModelProblem: a file is damaged.
    """
    beside = base_model if isinstance(base_model, Path) else model
    return find_codec_for(read_shape(model), named or beside, BY_OPTION).path
