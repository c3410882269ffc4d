"""The tiny Fish Speech model in shapes that no folder of it has."""

from __future__ import annotations

import dataclasses

from fintts_trainer.families.fish import FishBase
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.families.fish.weight_files import read_state_dict
from fintts_trainer.families.fish.weights import load_into


def tied(base: FishBase) -> DualAR:
    """The same model with its text head tied to the embeddings."""
    shape = dataclasses.replace(base.shape, tied_head=True)
    model = DualAR(shape, base.tokenizer.semantic_begin_id, base.tokenizer.semantic_end_id)
    state = dict(read_state_dict(base.folder))
    del state["output.weight"]
    load_into(model, state)
    model.add_tables()
    return model.float().requires_grad_(requires_grad=False)
