"""The example's base model is one that the trainer accepts, and it has learned to speak."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from checks import every
from fintts_cost.training.loss_levels import uniform_guess
from fintts_inputs.base_model.families import read_config
from fintts_inputs.data.check import check_folder
from fintts_inputs.data.pack import read_pack
from fintts_inputs.data.packing import pack_folder
from fintts_inputs.data.pairs import split
from fintts_trainer.data.batches import in_batches
from fintts_trainer.data.encode import encode_utterances
from fintts_trainer.families.fish import FishBase, FishFamily
from fintts_trainer.families.weight_files import read_state_dict
from fintts_trainer.loop.evaluate import evaluate
from kalevala import KALEVALA, script

BASE = KALEVALA / "base_model"
FILES = ("config.json", "model.pth", "special_tokens.json", "tokenizer.tiktoken")


make_data, make_base_model = script("make_data"), script("make_base_model")


@pytest.fixture(scope="module")
def base() -> FishBase:
    return FishFamily().open(read_config(BASE))


def test_it_is_four_files_of_4_megabytes_at_most() -> None:
    assert sorted(path.name for path in BASE.iterdir()) == sorted(FILES)
    assert sum(path.stat().st_size for path in BASE.iterdir()) <= 4_000_000


def test_its_weights_are_finite_and_in_bfloat16() -> None:
    state = read_state_dict(BASE)
    assert {weight.dtype for weight in state.values()} == {torch.bfloat16}
    assert every(bool(weight.isfinite().all()) for weight in state.values())


def test_its_configuration_and_tokenizer_are_those_of_the_script(tmp_path: Path) -> None:
    voices = make_data.PRETRAINING_VOICES
    texts = [u.text for voice in voices for u in make_data.pretraining_utterances(voice)]
    make_base_model.write_tokenizer(texts, max(make_base_model.CODEC2_SIZES), tmp_path)
    for name in ("tokenizer.tiktoken", "special_tokens.json"):
        assert (BASE / name).read_text() == (tmp_path / name).read_text()
    config = make_base_model.config_for(make_base_model.CODEC2_SIZES)
    assert json.loads((BASE / "config.json").read_text()) == config


def test_its_tokenizer_keeps_every_letter(base: FishBase) -> None:
    for utterance in make_data.fine_tuning_utterances():
        ids = base.tokenizer.encode_text(utterance.text)
        assert base.tokenizer.text.decode(ids) == utterance.text
        assert len(ids) < len(utterance.text)


def test_the_data_fit_it(base: FishBase) -> None:
    report = check_folder(KALEVALA / "data", base.shape)
    assert not report.problems
    assert base.tokenizer.size == base.shape.vocab_size


def test_it_knows_speech_before_it_knows_this_voice(base: FishBase, tmp_path: Path) -> None:
    pack = read_pack(pack_folder(KALEVALA / "data", tmp_path, base.shape).path)
    held_out = list(encode_utterances(base, pack, split(pack.names, 0.1).held_out))
    assert len(held_out) >= 12
    model = base.load(torch.float32)
    loss = evaluate(model, in_batches(held_out, 8), torch.device("cpu")).means()["loss"]
    guess = sum(map(uniform_guess, base.shape.choices.values()))
    assert loss < 0.7 * guess


def test_byte_pairs_are_merged_by_frequency_then_by_alphabet() -> None:
    vocabulary = make_base_model.train_byte_pairs(["aab aab", "cd cd", "xy xy"], 3)
    # Every pair occurs twice; b"aa" comes first, then b"aa" + b"b" before b"c" + b"d".
    assert vocabulary[256:] == [b"aa", b"aab", b"cd"]


def test_a_byte_pair_is_merged_from_the_left() -> None:
    parts = [b"a", b"a", b"a", b"b"]
    assert make_base_model.merge(parts, (b"a", b"a")) == [b"aa", b"a", b"b"]
