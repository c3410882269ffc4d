"""CSM's safetensors, in one file or in several, into the model: strictly, and never unpickled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from fintts_trainer.base_files import SAFETENSORS, weight_files
from fintts_trainer.errors import BaseModelProblem
from fintts_trainer.shape import AGAIN

if TYPE_CHECKING:
    from collections.abc import Set
    from pathlib import Path

    from torch import Tensor

    from fintts_trainer.families.csm.model import CsmDualAR

StateDict = dict[str, "Tensor"]

CODEC = "codec_model."
BACKBONE_AUDIO = "backbone_model.embed_tokens.embed_audio_tokens.weight"
DEPTH_AUDIO = "depth_decoder.model.embed_tokens.weight"


def read_state_dict(folder: Path) -> StateDict:
    """All weights but the codec's, which training has no use for.

    Raises:
        BaseModelProblem: a file is missing or damaged.
    """
    state: StateDict = {}
    for name in _files(folder):
        try:
            with safe_open(folder / name, framework="pt") as file:
                keys = [key for key in file.keys() if not key.startswith(CODEC)]  # noqa: SIM118
                state |= {key: file.get_tensor(key) for key in keys}
        except (OSError, SafetensorError) as error:
            raise BaseModelProblem(f"{folder / name} cannot be read: {error}", AGAIN) from None
    return state


def load_into(model: CsmDualAR, state: StateDict, *, tied: bool) -> None:
    """Loads the weights into a model on the meta device.

    Tied, the two embeddings of the audio codes become one parameter; transformers 5 writes both,
    earlier versions one of them.

    Raises:
        BaseModelProblem: a weight is missing, unexpected or of another shape; each is named.
    """
    expected = model.state_dict()
    complete = _with_tied(state) if tied else state
    _compare_keys(complete.keys(), expected.keys())
    for key, weight in complete.items():
        if weight.shape != expected[key].shape:
            raise BaseModelProblem(
                f"the base model's {key} has shape {tuple(weight.shape)}, "
                f"but its config.json says {tuple(expected[key].shape)}"
            )
    model.load_state_dict(complete, strict=True, assign=True)
    if tied:
        model.tie_audio_embeddings()


def _files(folder: Path) -> tuple[str, ...]:
    """The weights' files; Fish Speech's model.pth is no CSM."""
    names = weight_files(folder)
    if any(not name.endswith(".safetensors") for name in names):
        raise BaseModelProblem(
            f"the base model folder {folder} has no {SAFETENSORS}, only {', '.join(names)}",
            "give a CSM folder of transformers' with its weights as safetensors",
        )
    return names


def _with_tied(state: StateDict) -> StateDict:
    """Either of two tied embeddings stands for both."""
    first, second = state.get(BACKBONE_AUDIO), state.get(DEPTH_AUDIO)
    if first is not None and second is not None and not first.equal(second):
        raise BaseModelProblem(
            f"config.json ties {BACKBONE_AUDIO} and {DEPTH_AUDIO}, but they differ",
            "set tie_codebooks_embeddings to false there if the two were trained apart",
        )
    one = second if first is None else first
    return state if one is None else {**state, BACKBONE_AUDIO: one, DEPTH_AUDIO: one}


def _compare_keys(found: Set[str], expected: Set[str]) -> None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    if missing or extra:
        parts = [
            f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})"
            for what, keys in (("missing", missing), ("unexpected", extra))
            if keys
        ]
        raise BaseModelProblem(
            f"the base model's weights do not fit its config.json: {' and '.join(parts)}",
            "take config.json and the weights from the same release, without an adapter in them",
        )
