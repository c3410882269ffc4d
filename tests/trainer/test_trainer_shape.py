"""A config.json that describes no model is refused in one sentence, whatever is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fintts_trainer.errors import BaseModelProblem
from fintts_trainer.shape import ModelShape
from tiny_run import TINY

CONFIG = json.loads((TINY / "config.json").read_text())


@pytest.mark.parametrize(
    "changes",
    [
        {"n_local_heads": 0},
        {"n_local_heads": -2},
        {"head_dim": 0},
        {"head_dim": 7},
        {"max_seq_len": 0},
        {"max_seq_len": -1},
        {"n_fast_layer": 0},
        {"fast_dim": 0},
        {"fast_n_head": -4},
        {"fast_n_local_heads": -1},
        {"dim": 1, "head_dim": None},
        {"codebook_size": 0},
        {"num_codebooks": 0},
        {"model_type": "llama"},
    ],
)
def test_impossible_sizes_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BaseModelProblem, match=r"config\.json: ") as refused:
        ModelShape.load(CONFIG | changes)
    assert refused.value.hint


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "3"])
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BaseModelProblem, match="config"):
        ModelShape.read(tmp_path)


def test_the_bounds_of_the_data_are_read() -> None:
    shape = ModelShape.load(CONFIG | {"codebook_size": 65, "num_codebooks": 5, "max_seq_len": 7})
    assert (shape.codebook_size, shape.num_codebooks, shape.max_seq_len) == (65, 5, 7)
