"""Converts Fish Speech's state dict to ours and back, exactly.

Fish Speech fuses query, key and value into one matrix and rotates interleaved pairs (2i, 2i + 1);
transformers keeps three matrices and rotates halves (i, i + head_dim / 2). Permuting the rows of
query and key, and of their norms, converts one into the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from fintts_inputs.base_model.fish.weights import (
    APART,
    ENDS,
    FUSED,
    IN_A_LAYER,
    PLAIN,
    ROTATED_NORMS,
    Spelling,
    layers_of,
    spelling_of,
)
from fintts_inputs.base_model.fitting import refuse_misfit
from fintts_trainer.families.weight_files import stored

if TYPE_CHECKING:
    from torch import Tensor

    from fintts_inputs.base_model.shape import ModelShape, StackShape
    from fintts_trainer.families.fish.model import DualAR
    from fintts_trainer.families.weight_files import StateDict


def load_into(model: DualAR, state: StateDict) -> None:
    """Loads Fish's weights into a model on the meta device, strictly.

    Raises:
        BaseModelProblem: a weight is missing, unexpected or misshapen; each is named.
    """
    model.load_state_dict(from_fish(state, model.shape), strict=True, assign=True)


def from_fish(state: StateDict, shape: ModelShape) -> StateDict:
    """Our state dict from Fish's, in any of its releases' names.

    Raises:
        BaseModelProblem: a weight is missing, unexpected, misshapen or quantised; it is named.
    """
    state = _plain(state, shape)
    ours: StateDict = {ours: state[fish] for fish, ours in ENDS.items() if fish in state}
    for fish, own, stack in layers_of(shape):
        parts = split_fused(state[fish + FUSED], stack)
        ours |= {own + name: part for name, part in zip(APART, parts, strict=True)}
        ours |= {own + b: state[fish + a] for a, b in IN_A_LAYER.items()}
        if stack.qk_norm:
            norms = ROTATED_NORMS.items()
            ours |= {own + b: _to_halves(state[fish + a], stack.head_dim) for a, b in norms}
    return ours


def to_fish(ours: StateDict, shape: ModelShape, spelling: Spelling = PLAIN) -> StateDict:
    """Fish's state dict from ours: the inverse of `from_fish`, bit for bit."""
    state: StateDict = {fish: ours[own] for fish, own in ENDS.items() if own in ours}
    for fish, own, stack in layers_of(shape):
        q, k, v = (ours[own + name] for name in APART)
        rotated = [_to_pairs(q, stack.head_dim), _to_pairs(k, stack.head_dim)]
        state[fish + FUSED] = torch.cat([*rotated, v])
        state |= {fish + a: ours[own + b] for a, b in IN_A_LAYER.items()}
        if stack.qk_norm:
            norms = ROTATED_NORMS.items()
            state |= {fish + a: _to_pairs(ours[own + b], stack.head_dim) for a, b in norms}
    return {spelling.of(key): weight for key, weight in state.items()}


def _plain(state: StateDict, shape: ModelShape) -> StateDict:
    """The same weights under the names of model.pth; refuses missing and unexpected ones."""
    refuse_misfit(stored(state), shape)
    spelling = spelling_of(state)
    return {spelling.plain(name): weight for name, weight in state.items()}


def split_fused(rows: Tensor, stack: StackShape) -> tuple[Tensor, Tensor, Tensor]:
    """Splits Fish's fused rows [query + key + value, …], and permutes query and key like ours."""
    kv = stack.kv_heads * stack.head_dim
    q, k, v = torch.split(rows, [stack.heads * stack.head_dim, kv, kv])
    return _to_halves(q, stack.head_dim), _to_halves(k, stack.head_dim), v


def _to_halves(rows: Tensor, head_dim: int) -> Tensor:
    """Interleaved pairs → halves, along the first dimension of each head."""
    pairs = rows.view(-1, head_dim // 2, 2, *rows.shape[1:])
    return pairs.transpose(1, 2).reshape(rows.shape)


def _to_pairs(rows: Tensor, head_dim: int) -> Tensor:
    """Halves → interleaved pairs: the inverse of `_to_halves`."""
    halves = rows.view(-1, 2, head_dim // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)
