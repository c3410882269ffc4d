"""The weights of a codec: read without executing anything, in float32, with weight norm folded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from fintts_inputs.base_model.tensors import misfit
from fintts_inputs.codec.tables import DIRECTION_TO_MAGNITUDE, TABLES, own_names
from fintts_inputs.errors import CodecProblem
from fintts_trainer.families.weight_files import read_pickled, stored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from fintts_trainer.families.weight_files import StateDict


def read_codec_state(path: Path) -> StateDict:
    """The tensors of a file of torch.save, mapped into memory, under the codec's own names.

    Boolean masks are left out.

    Raises:
        BaseModelProblem: the file is damaged, or holds more than weights.
    """
    state = read_pickled(path)
    named = {own: state[name] for name, own in own_names(state).items()}
    return {name: weight for name, weight in named.items() if weight.dtype != torch.bool}


def load_into(network: nn.Module, state: StateDict) -> None:
    """Loads weights into a network on the meta device, strictly.

    Args:
        state: as read; the tables in it are not weights, and are left out.

    Raises:
        CodecProblem: a weight is missing, unexpected, or of another shape; each is named.
    """
    weights = {n: w for n, w in state.items() if not n.endswith(TABLES)}
    folded = fold_weight_norm(weights)
    wanted = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    problem = misfit(stored(folded), wanted)
    if problem is not None:
        raise CodecProblem(
            f"the codec's weights do not fit together: {problem}",
            "take the codec's file as it was released with the base model",
        )
    whole = {name: weight.float() for name, weight in folded.items()}
    if any(not bool(weight.isfinite().all()) for weight in whole.values()):
        raise CodecProblem("the codec's weights are not all numbers", "download the codec again")
    network.load_state_dict(whole, strict=True, assign=True)
    network.requires_grad_(requires_grad=False).eval()


def fold_weight_norm(state: StateDict) -> StateDict:
    """Magnitudes and directions → weights, in float32; what is folded already stays.

    Salimans and Kingma, Weight Normalization (2016): the norm is over all dimensions but the first,
    which is the input channel of a transposed convolution.
    """
    folded = dict(state)
    for name in state:
        for direction, magnitude in DIRECTION_TO_MAGNITUDE.items():
            stem = name.removesuffix(direction)
            if stem != name and stem + magnitude in state:
                v, g = folded.pop(name).float(), folded.pop(stem + magnitude).float()
                norms = torch.linalg.vector_norm(v.flatten(1), dim=1)
                folded[f"{stem}.weight"] = v * (g.flatten() / norms).view(-1, *[1] * (v.ndim - 1))
    return folded


def digest_of(state: Mapping[str, Tensor], settings: str) -> str:
    """SHA-256 of the weights and of what no weight tells."""
    digest = hashlib.sha256(settings.encode())
    for name, weight in sorted(state.items()):
        digest.update(f"\n{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        digest.update(weight.detach().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
