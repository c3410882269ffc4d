"""Loads CSM's safetensors into the model, strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.base_model.csm.weights import BACKBONE_AUDIO, CODEC, DEPTH_AUDIO, tied_apart
from fintts_inputs.base_model.fitting import refuse_misfit
from fintts_inputs.base_model.headers import refuse_pickled
from fintts_trainer.families import weight_files

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_trainer.families.csm.model import CsmDualAR
    from fintts_trainer.families.weight_files import StateDict


def read_state_dict(folder: Path) -> StateDict:
    """All weights except the codec's, which training does not use.

    Raises:
        BaseModelProblem: as `read_files` does, or the weights are pickled.
    """
    refuse_pickled(folder)
    state = weight_files.read_state_dict(folder)
    return {name: weight for name, weight in state.items() if not name.startswith(CODEC)}


def load_into(model: CsmDualAR, state: StateDict, shape: ModelShape) -> None:
    """Loads the weights into a model on the meta device.

    If the two embeddings of the audio codes are tied, they become one parameter; transformers 5
    writes both, earlier versions write one.

    Raises:
        BaseModelProblem: a weight is missing, unexpected, misshapen or quantised; it is named.
    """
    refuse_misfit(weight_files.stored(state), shape)
    complete = _with_tied(state) if shape.tied_codes else state
    model.load_state_dict(complete, strict=True, assign=True)
    if shape.tied_codes:
        model.tie_audio_embeddings()


def _with_tied(state: StateDict) -> StateDict:
    """Adds the missing one of two tied embeddings."""
    first, second = state.get(BACKBONE_AUDIO), state.get(DEPTH_AUDIO)
    if first is not None and second is not None and not first.equal(second):
        raise tied_apart()
    one = second if first is None else first
    return state if one is None else {**state, BACKBONE_AUDIO: one, DEPTH_AUDIO: one}
