"""The state and the seed of a process's random numbers.

Only dropout needs them. Each process draws its own, so a checkpoint holds the state of each.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor


class RandomState(TypedDict):
    """torch's generators as base64: the CPU's, and that of the process's GPU."""

    torch: str
    cuda: str | None


def random_state() -> RandomState:
    """The state of this process."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {
        "torch": _to_text(torch.get_rng_state()),
        "cuda": None if cuda is None else _to_text(cuda),
    }


def set_random_state(state: RandomState) -> None:
    """Restores the state, on the same kind of device."""
    torch.set_rng_state(_from_text(state["torch"]))
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(_from_text(state["cuda"]))


def seed_of(seed: int, step: int, rank: int) -> int:
    """The seed of a process that has no state to restore; every process gets another one."""
    (word,) = np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)
    return int(word) >> 1


def _to_text(state: Tensor) -> str:
    return base64.b64encode(bytes(state.tolist())).decode()


def _from_text(text: str) -> Tensor:
    return torch.tensor(list(base64.b64decode(text)), dtype=torch.uint8)
