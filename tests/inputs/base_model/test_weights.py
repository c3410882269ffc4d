"""The names and shapes that are expected without torch are those of the models themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from fintts_inputs.base_model.csm import weights as csm_weights
from fintts_inputs.base_model.families import parse_shape, read_config
from fintts_inputs.base_model.fish import weights as fish_weights
from fintts_inputs.base_model.sides import shape_of
from fintts_trainer.families.csm.model import build
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.families.fish.weights import to_fish
from released_shapes import S1_MINI, S2_PRO

FISH = {
    "s1": S1_MINI,
    "s2": S2_PRO,
    "tied, with a projection": {**S1_MINI, "tie_word_embeddings": True, "fast_dim": 512},
    "normed alike": {**S1_MINI, "fast_attention_qk_norm": True},
}
CSM = {
    "released": {},
    "other sizes": {"head_dim": 16, "num_hidden_layers": 3, "tie_codebooks_embeddings": False},
}


def shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in state.items()}


@pytest.mark.parametrize("name", FISH)
def test_fish_s_are_those_of_the_model(name: str) -> None:
    shape = parse_shape(FISH[name])
    with torch.device("meta"):
        model = DualAR(shape, 0, shape.codebook_size - 1)
    expected = {key: shape_of(sides) for key, sides in fish_weights.expected(shape).items()}
    assert expected == shapes(to_fish(model.state_dict(), shape))


@pytest.mark.parametrize("name", CSM)
def test_csm_s_are_those_of_the_model(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "csm", **CSM[name]}))
    config = read_config(tmp_path)
    expected = csm_weights.expected(config.shape)
    model = build(config)
    assert {key: shape_of(sides) for key, sides in expected.items()} == shapes(model.state_dict())


@pytest.mark.parametrize("spelling", [fish_weights.PLAIN, fish_weights.S2])
def test_each_name_has_one_spelling(spelling: fish_weights.Spelling) -> None:
    names = list(fish_weights.expected(parse_shape(S2_PRO)))
    assert [spelling.plain(spelling.of(name)) for name in names] == names
