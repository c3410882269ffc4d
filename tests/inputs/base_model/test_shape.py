"""A config.json that describes no model is refused in one sentence, whatever is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fintts_inputs.base_model.families import parse_shape, read_shape
from fintts_inputs.errors import BaseModelProblem
from released_shapes import S1_MINI, S2_PRO
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
        parse_shape(CONFIG | changes)
    assert refused.value.hint


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "3"])
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BaseModelProblem, match="config"):
        read_shape(tmp_path)


def test_the_bounds_of_the_data_are_read() -> None:
    shape = parse_shape(CONFIG | {"codebook_size": 65, "num_codebooks": 5, "max_seq_len": 7})
    assert (shape.codebook_size, shape.num_codebooks, shape.max_seq_len) == (65, 5, 7)


INFINITE = ["NaN", "Infinity", "-Infinity", "1e999"]


@pytest.mark.parametrize("text", INFINITE)
@pytest.mark.parametrize("key", ["norm_eps", "unread"])
def test_what_is_no_number_is_refused_by_name(key: str, text: str) -> None:
    content = S1_MINI | {"nested": {key: [json.loads(text)]}}
    with pytest.raises(BaseModelProblem, match=rf"nested\.{key} is -?(nan|inf), not a number"):
        parse_shape(content)


@pytest.mark.parametrize(
    ("key", "value"),
    [("norm_eps", 0), ("norm_eps", -1e-6), ("norm_eps", 1), ("rope_base", 0), ("rope_base", -1)]
    + [(key, 10**12) for key in ("n_layer", "n_fast_layer", "dim", "max_seq_len", "head_dim")],
)
def test_numbers_out_of_range_are_refused_by_name(key: str, value: float) -> None:
    with pytest.raises(BaseModelProblem, match=f"config.json: {key}: Input should be"):
        parse_shape(S1_MINI | {key: value})
    nested = {name: one | {key: value} for name, one in S2_PRO.items() if isinstance(one, dict)}
    if key != "n_fast_layer":
        with pytest.raises(BaseModelProblem, match=f"_config.{key}: Input should be"):
            parse_shape(S2_PRO | nested)


@pytest.mark.parametrize("where", ["", "depth_decoder_config"])
@pytest.mark.parametrize(("key", "value"), [("rms_norm_eps", -1), ("num_hidden_layers", 10**12)])
def test_so_are_csm_s(where: str, key: str, value: float) -> None:
    with pytest.raises(BaseModelProblem, match=f"{key}: Input should be"):
        parse_shape({"model_type": "csm"} | ({where: {key: value}} if where else {key: value}))
