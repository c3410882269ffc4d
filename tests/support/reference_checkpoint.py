"""A LoRA checkpoint as Fish Speech's own trainer leaves it, and what it means for the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

EMBEDDINGS = ("embeddings", "codebook_embeddings", "fast_embeddings")
Pairs = dict[str, tuple[Tensor, Tensor]]


def random_pairs(state: dict[str, Tensor], rank: int, kinds: tuple[str, ...] = ("",)) -> Pairs:
    """(lora_A, lora_B) as loralib has them, of each matrix whose name holds one of `kinds`."""
    generator = torch.Generator().manual_seed(3)
    pairs: Pairs = {}
    for key, weight in state.items():
        name = key.removesuffix(".weight")
        if weight.dim() != 2 or not any(kind in name for kind in kinds):
            continue
        outputs, inputs = weight.shape[::-1] if name in EMBEDDINGS else weight.shape
        a = 0.2 * torch.randn(rank, inputs, generator=generator)
        pairs[name] = (a, 0.2 * torch.randn(outputs, rank, generator=generator))
    return pairs


def merged_by_hand(state: dict[str, Tensor], pairs: Pairs, scale: float) -> dict[str, Tensor]:
    """The base model's own weights with the adapter in them: W + scale · B A."""
    merged = {key: weight.double() for key, weight in state.items()}
    for name, (a, b) in pairs.items():
        share = scale * (b.double() @ a.double())
        key = f"{name}.weight"
        merged[key] = merged[key] + (share.T if name in EMBEDDINGS else share)
    return merged


def write_checkpoint(path: Path, pairs: Pairs, **more: Any) -> Path:
    """As PyTorch Lightning writes it: the weights under `state_dict`, with much beside them."""
    state = {
        f"model.{name}.lora_{which}": half
        for name, pair in pairs.items()
        for which, half in zip("AB", pair, strict=True)
    }
    content = {
        "epoch": 3,
        "global_step": 2800,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(4.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}],
        "lr_schedulers": [{"last_epoch": 2800, "lr_lambdas": [None]}],
    }
    torch.save({**content, **more}, path)
    return path
