"""Converts a LoRA of Fish Speech's own trainer into PEFT's files, exactly.

That trainer (PyTorch Lightning with loralib) writes a `.ckpt` with `lora_A` [rank, inputs] and
`lora_B` [outputs, rank] of each matrix: y = W x + (alpha / rank) B A x, as in PEFT. Query, key and
value are one matrix there. The rows of its B correspond to the rows of W, so B is split and
permuted like W, and the three parts share its A.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from peft import LoraConfig as PeftLoraConfig

from fintts_inputs.base_model.fish.weights import APART, ENDS, FUSED, IN_A_LAYER, layers_of
from fintts_inputs.base_model.matrices import PEFT_PREFIX
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.families.fish.weights import split_fused
from fintts_trainer.model.lora import save_adapter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from fintts_inputs.base_model.shape import ModelShape, StackShape
    from fintts_inputs.config import LoraConfig, Target
    from fintts_trainer.families.fish import FishBase
    from fintts_trainer.families.weight_files import StateDict

WEIGHT, LORA_A, LORA_B = ".weight", ".lora_A", ".lora_B"
LIGHTNING_PREFIX = "model."
EMBEDDINGS = ("embeddings", "codebook_embeddings", "fast_embeddings")
HEADS = ("output", "fast_output")
MLP = ("feed_forward.w1", "feed_forward.w3", "feed_forward.w2")
"""gate, up, down: the order of `StackShape.linears`"""
COPY_AGAIN = "copy it again from where it was trained"
ITS_BASE = "set base_model to the model that it was trained on"


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix that the reference trainer adapts.

    Attributes:
        name: in Fish Speech.
        ours: our modules with its rows; three for query, key and value.
        stack: the stack of a fused query, key and value; None for a matrix that we also have.
    """

    target: Target
    name: str
    ours: tuple[str, ...]
    inputs: int
    outputs: int
    stack: StackShape | None = None


def import_reference_lora(base: FishBase, checkpoint: Path, lora: LoraConfig, target: Path) -> int:
    """Writes the adapter in `checkpoint` into the folder `target`; returns its number of
    parameters.

    Args:
        lora: rank and targets must match the checkpoint; alpha, which is not in the checkpoint,
            comes from here.

    Raises:
        BaseModelProblem: the file holds no such adapter, or its matrices, rank or base model
            differ.
    """
    pairs = _pairs(checkpoint)
    matrices = list(_matrices(base.shape))
    _refuse_unknown(checkpoint, pairs, matrices)
    _refuse_other_targets(checkpoint, pairs, matrices, lora)
    weights: StateDict = {}
    for matrix in (one for one in matrices if one.target in lora.targets):
        a, b = pairs[matrix.name]
        _refuse_misshapen(checkpoint, matrix, a, b, lora.rank)
        _refuse_infinite(checkpoint, matrix, a, b)
        weights |= _in_peft(matrix, a.float(), b.float())
    config = PeftLoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=[name for one in lora.targets for name in base.targets[one]],
        base_model_name_or_path=base.folder.name,
    )
    save_adapter(weights, config, target)
    return sum(weight.numel() for weight in weights.values())


def _pairs(checkpoint: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """(A, B) of each adapted matrix, by Fish Speech's name for it."""
    state = {
        key.removeprefix(LIGHTNING_PREFIX): value
        for key, value in _state_dict(checkpoint).items()
        if key.endswith((LORA_A, LORA_B))
    }
    names = {key.removesuffix(LORA_A).removesuffix(LORA_B) for key in state}
    if not names:
        raise BaseModelProblem(
            f"{checkpoint} has no LoRA: none of its weights is named lora_A or lora_B",
            "use the .ckpt that Fish Speech's trainer wrote with its LoRA configuration",
        )
    for name in sorted(names):
        if name + LORA_A not in state or name + LORA_B not in state:
            raise BaseModelProblem(
                f"{checkpoint} has only one of lora_A and lora_B of {name}", COPY_AGAIN
            )
    return {name: (state[name + LORA_A], state[name + LORA_B]) for name in names}


def _state_dict(checkpoint: Path) -> Mapping[str, Tensor]:
    """The weights of a Lightning checkpoint or a bare state dict; unpickles no other objects."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        raise BaseModelProblem(
            f"{checkpoint} contains objects other than weights, and opening it could run code",
            "on the machine that trained it, save only torch.load(FILE)['state_dict']",
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        sentence = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BaseModelProblem(f"{checkpoint} cannot be read: {sentence}", COPY_AGAIN) from None
    state: object = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise BaseModelProblem(f"{checkpoint} does not hold weights by name", COPY_AGAIN)
    return {
        key: value
        for key, value in state.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }


def _matrices(shape: ModelShape) -> Iterator[Matrix]:
    """Every matrix that the reference trainer can adapt."""
    heads = HEADS[1:] if shape.tied_head else HEADS
    for name, (inputs, outputs) in zip(EMBEDDINGS, shape.ends.embeddings, strict=True):
        yield Matrix("embeddings", name, (_own(ENDS, name),), inputs, outputs)
    for name, (inputs, outputs) in zip(heads, shape.ends.heads, strict=True):
        yield Matrix("heads", name, (_own(ENDS, name),), inputs, outputs)
    for fish, own, stack in layers_of(shape):
        q, k, v, o = stack.linears["attention"]
        fused, apart = FUSED.removesuffix(WEIGHT), (own + n.removesuffix(WEIGHT) for n in APART)
        rows = q[1] + k[1] + v[1]
        yield Matrix("attention", fish + fused, tuple(apart), stack.dim, rows, stack)
        yield _plain("attention", fish, own, "attention.wo", o)
        for name, sizes in zip(MLP, stack.linears["mlp"], strict=True):
            yield _plain("mlp", fish, own, name, sizes)


def _plain(target: Target, fish: str, own: str, name: str, sizes: tuple[int, int]) -> Matrix:
    """A matrix of a layer that we also have."""
    inputs, outputs = sizes
    return Matrix(target, fish + name, (own + _own(IN_A_LAYER, name),), inputs, outputs)


def _own(table: Mapping[str, str], name: str) -> str:
    return table[name + WEIGHT].removesuffix(WEIGHT)


def _refuse_unknown(checkpoint: Path, pairs: Mapping[str, object], matrices: list[Matrix]) -> None:
    known = {matrix.name for matrix in matrices}
    unknown = sorted(pairs.keys() - known)
    if unknown:
        raise BaseModelProblem(
            f"{checkpoint} adapts {len(unknown)} matrices that this base model does not have; "
            f"the first is {unknown[0]}",
            ITS_BASE,
        )


def _refuse_other_targets(
    checkpoint: Path, pairs: Mapping[str, object], matrices: list[Matrix], lora: LoraConfig
) -> None:
    found = {matrix.target for matrix in matrices if matrix.name in pairs}
    if found != {matrix.target for matrix in matrices if matrix.target in lora.targets}:
        raise BaseModelProblem(
            f"{checkpoint} adapts {', '.join(sorted(found))}, but lora.targets are "
            f"{', '.join(lora.targets)}",
            f"set lora.targets to [{', '.join(sorted(found))}]",
        )
    wanted = {matrix.name for matrix in matrices if matrix.target in found}
    missing = sorted(wanted - pairs.keys())
    if missing:
        raise BaseModelProblem(
            f"{checkpoint} lacks {len(missing)} matrices of the base model; the first is "
            f"{missing[0]}",
            ITS_BASE,
        )


def _refuse_misshapen(checkpoint: Path, matrix: Matrix, a: Tensor, b: Tensor, rank: int) -> None:
    if a.shape == (rank, matrix.inputs) and b.shape == (matrix.outputs, rank):
        return
    if a.dim() == b.dim() == 2 and a.shape[0] == b.shape[1] != rank:
        raise BaseModelProblem(
            f"{checkpoint} has rank {a.shape[0]}, but lora.rank is {rank}",
            f"set lora.rank to {a.shape[0]}, and lora.alpha to the value used in training",
        )
    raise BaseModelProblem(
        f"{checkpoint} adapts {matrix.name} by {tuple(b.shape)} × {tuple(a.shape)}, but the base "
        f"model's matrix has the shape ({matrix.outputs}, {matrix.inputs})",
        ITS_BASE,
    )


def _refuse_infinite(checkpoint: Path, matrix: Matrix, a: Tensor, b: Tensor) -> None:
    if not all(bool(half.isfinite().all()) for half in (a, b)):
        raise BaseModelProblem(
            f"{checkpoint} has values that are not finite in {matrix.name}",
            "use an earlier checkpoint",
        )


def _in_peft(matrix: Matrix, a: Tensor, b: Tensor) -> StateDict:
    """The pair under PEFT's names; each tensor has its own memory."""
    parts = (b,) if matrix.stack is None else split_fused(b, matrix.stack)
    first, second = (
        ("lora_embedding_A", "lora_embedding_B")
        if matrix.target == "embeddings"
        else ("lora_A.weight", "lora_B.weight")
    )
    pairs: StateDict = {}
    for name, part in zip(matrix.ours, parts, strict=True):
        pairs[f"{PEFT_PREFIX}{name}.{first}"] = a.clone()
        pairs[f"{PEFT_PREFIX}{name}.{second}"] = part.clone(memory_format=torch.contiguous_format)
    return pairs
