"""Reads the weights of a codec without executing code, in float32, with weight norm folded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

import torch

from fintts_inputs.base_model.tensors import misfit
from fintts_inputs.codec.tables import DIRECTION_TO_MAGNITUDE, TABLES, own_names
from fintts_inputs.errors import CodecProblem
from fintts_trainer.families.weight_files import read_pickled, stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from fintts_trainer.families.weight_files import StateDict


Network = TypeVar("Network", bound="nn.Module")


def read_codec_state(path: Path) -> StateDict:
    """The tensors of a torch.save file, mapped into memory, under the codec's own names.

    Leaves out boolean masks.

    Raises:
        BaseModelProblem: the file is damaged, or has more than weights in it.
    """
    state = read_pickled(path)
    named = {own: state[name] for name, own in own_names(state).items()}
    return {name: weight for name, weight in named.items() if weight.dtype != torch.bool}


def load_network(make: Callable[[], Network], state: StateDict) -> Network:
    """Makes a network with these weights, for inference.

    Args:
        state: as read; the tables in it are not weights, and are left out.

    Raises:
        CodecProblem: a weight is missing, unexpected, or of another shape; each is named.
    """
    with torch.device("meta"):
        network = make()
    weights = fold_weight_norm({n: w for n, w in state.items() if not n.endswith(TABLES)})
    network.load_state_dict(fitting(weights, network), strict=True, assign=True)
    return network.requires_grad_(requires_grad=False).eval()


def fitting(state: StateDict, network: nn.Module) -> StateDict:
    """The weights in float32.

    Raises:
        CodecProblem: one is missing, unexpected, of another shape, or not finite.
    """
    wanted = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    if problem := misfit(stored(state), wanted):
        raise CodecProblem(
            f"the codec's weights do not fit together: {problem}",
            "use the codec's files as released with the base model",
        )
    exact = {name: weight.float() for name, weight in state.items()}
    if not all(bool(weight.isfinite().all()) for weight in exact.values()):
        raise CodecProblem("some of the codec's weights are not finite", "download it again")
    return exact


def fold_weight_norm(state: StateDict) -> StateDict:
    """Magnitudes and directions → weights, in float32; leaves folded weights as they are.

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
    """SHA-256 of the weights and of the settings that they do not show."""
    digest = hashlib.sha256(settings.encode())
    for name, weight in sorted(state.items()):
        digest.update(f"\n{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        digest.update(weight.detach().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
