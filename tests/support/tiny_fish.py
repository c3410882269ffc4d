"""The tiny Fish Speech model in shapes that no folder of it has."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from fintts_inputs.base_model.families import read_config, read_shape
from fintts_inputs.base_model.files import CONFIG, PICKLED, SAFETENSORS
from fintts_trainer.data.batches import collate
from fintts_trainer.families.base import Batch, Predictions
from fintts_trainer.families.fish import FishBase, FishFamily
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.families.fish.weights import load_into, to_fish
from fintts_trainer.families.weight_files import read_state_dict
from tiny_run import TINY


def write_fish(folder: Path, dtype: torch.dtype, **changes: object) -> FishBase:
    """The tiny model with other sizes, and random weights that make them matter."""
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns(PICKLED, "expected*"))
    config = json.loads((TINY / CONFIG).read_text()) | changes
    (folder / CONFIG).write_text(json.dumps(config))
    shape = read_shape(folder)
    with torch.device("meta"):
        wanted = DualAR(shape, 0, shape.codebook_size - 1).state_dict()
    generator = torch.Generator().manual_seed(1)
    ours = {
        name: torch.ones(one.shape, dtype=dtype)
        if one.dim() == 1
        else (0.1 * torch.randn(one.shape, generator=generator)).to(dtype)
        for name, one in wanted.items()
    }
    save_file(to_fish(ours, shape), folder / SAFETENSORS, metadata={"format": "pt"})
    return FishFamily().open(read_config(folder))


def utterances(base: FishBase) -> Batch:
    """Two, of different lengths."""
    generator = np.random.default_rng(2)
    codes = [generator.integers(0, 64, (4, frames)) for frames in (6, 11)]
    return collate([base.encode(f"Sanat {n} sulavat", code) for n, code in enumerate(codes)])


def answers(model: torch.nn.Module, batch: Batch) -> Predictions:
    """What a model says of them, in evaluation mode."""
    with torch.no_grad():
        found = model.eval()(batch)
    assert isinstance(found, Predictions)
    return found


def tied(base: FishBase) -> DualAR:
    """The same model with its text head tied to the embeddings."""
    shape = dataclasses.replace(base.shape, tied_head=True)
    model = DualAR(shape, base.tokenizer.semantic_begin_id, base.tokenizer.semantic_end_id)
    state = dict(read_state_dict(base.folder))
    del state["output.weight"]
    load_into(model, state)
    model.add_tables()
    return model.float().requires_grad_(requires_grad=False)
