"""Our model against recorded outputs of the reference implementation's serving path."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from checks import every
from fintts_inputs.base_model.families import read_config
from fintts_inputs.base_model.files import TIKTOKEN
from fintts_inputs.base_model.fish.prompts import FISH_S1
from fintts_trainer.families.base import IGNORE, Batch
from fintts_trainer.families.fish import FishFamily
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.families.fish.weights import from_fish, to_fish
from fintts_trainer.families.weight_files import read_state_dict
from parity_fixtures import recorded_folders

FOLDERS = recorded_folders("expected.json", TIKTOKEN)

pytestmark = pytest.mark.parity


def one_sentence(model: DualAR, tokens: torch.Tensor, text_length: int) -> Batch:
    """A batch of one utterance, labelled from its first semantic token on."""
    inputs, labels = tokens[:, :-1], tokens[:, 1:].clone()
    labels[0, : text_length - 1] = IGNORE
    labelled = (labels[0] != IGNORE).nonzero()[:, 0]
    coded = model._is_semantic(labels[0, labelled]).nonzero()[:, 0]
    frames = model._is_semantic(inputs[0]).nonzero()[:, 0]
    return Batch(inputs[None], labels[None], labelled, coded, frames)


def test_there_are_fixtures() -> None:
    assert len(FOLDERS) >= 2


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_logits_and_losses(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    recorded = load_file(folder / "expected.safetensors")
    # All of them were recorded with S1's prompt, those of 1.5 too.
    base = FishFamily().open(read_config(folder), FISH_S1)
    assert base.tokenizer.semantic_begin_id == expected["semantic_begin_id"]
    assert base.tokenizer.semantic_end_id == expected["semantic_end_id"]
    model = base.load(torch.float32).eval()
    for number, sentence in enumerate(expected["sentences"]):
        codes = recorded[f"{number}.codes"].numpy()
        example = base.encode(sentence, codes)
        np.testing.assert_array_equal(example.tokens, recorded[f"{number}.tokens"].numpy())
        batch = one_sentence(model, torch.from_numpy(example.tokens), example.text_length)
        with torch.no_grad():
            found = model(batch)
        labelled = recorded[f"{number}.token_logits"][example.text_length - 1 :]
        torch.testing.assert_close(found.logits()["token"], labelled, atol=1e-4, rtol=0)
        torch.testing.assert_close(
            found.logits()["code"], recorded[f"{number}.codebook_logits"], atol=1e-4, rtol=0
        )
        loss = expected["loss"][number]
        assert found.losses()["token"].total.item() / batch.label_count == pytest.approx(
            loss["token"], abs=1e-5
        )
        assert found.losses()["code"].total.item() / found.losses()["code"].count == pytest.approx(
            loss["codebook"], abs=1e-5
        )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_all_positions_agree(folder: Path) -> None:
    """Also where there is no label: the recorded logits cover text positions too."""
    recorded = load_file(folder / "expected.safetensors")
    model = FishFamily().open(read_config(folder)).load(torch.float32).eval()
    tokens = recorded["0.tokens"]
    with torch.no_grad():
        found = model(one_sentence(model, tokens, text_length=1))
    torch.testing.assert_close(
        found.logits()["token"], recorded["0.token_logits"], atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_weights_convert_back_bit_for_bit(folder: Path) -> None:
    base, state = FishFamily().open(read_config(folder)), read_state_dict(folder)
    back = to_fish(from_fish(state, base.shape), base.shape)
    assert back.keys() == state.keys()
    assert every(torch.equal(back[key], state[key]) for key in state)
