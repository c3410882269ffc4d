"""CSM's files: one or several safetensors, tied embeddings, and nothing that is unpickled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fintts_inputs.base_model.csm.weights import BACKBONE_AUDIO, DEPTH_AUDIO
from fintts_inputs.base_model.families import read_config
from fintts_inputs.base_model.files import INDEX, PICKLED
from fintts_inputs.base_model.files import SAFETENSORS as SINGLE
from fintts_inputs.config import LoraConfig
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.families.csm import CsmFamily
from fintts_trainer.model.lora import add_adapter, trainable
from tiny_csm import write_tiny_csm


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_csm(tmp_path_factory.mktemp("csm") / "base")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "base"))


@pytest.fixture
def tied(tmp_path: Path) -> Path:
    return write_tiny_csm(tmp_path / "tied", tied=True)


def load(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = (
        CsmFamily().open(read_config(folder)).load(torch.float32).state_dict()
    )
    return state


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(first[k].equal(second[k]) for k in first)


def configure(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def shard(folder: Path, index: str = INDEX) -> dict[str, str]:
    """model.safetensors in two, and the table of which is where."""
    state = load_file(folder / SINGLE)
    (folder / SINGLE).unlink()
    where = {key: f"part-{n % 2}.safetensors" for n, key in enumerate(state)}
    for name in set(where.values()):
        save_file({key: state[key] for key in state if where[key] == name}, folder / name)
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return where


def test_weights_in_several_files_are_the_same(made: Path, folder: Path) -> None:
    shard(folder)
    assert same(load(folder), load(made))


def test_the_config_may_name_the_weights(made: Path, folder: Path) -> None:
    """As sesame/csm-1b does, whose model.safetensors is not transformers' own."""
    shard(folder, "transformers.safetensors.index.json")
    save_file({"backbone.norm.scale": torch.zeros(3)}, folder / SINGLE)
    configure(folder, transformers_weights="transformers.safetensors.index.json")
    assert same(load(folder), load(made))


def test_a_shard_that_is_not_there_is_named(folder: Path) -> None:
    where = shard(folder)
    missing = sorted(where.values())[-1]
    (folder / missing).unlink()
    with pytest.raises(BaseModelProblem, match=missing):
        load(folder)


@pytest.mark.parametrize("outside", ["../part-0.safetensors", "/etc/part-0.safetensors"])
def test_a_file_outside_of_the_folder_is_not_opened(folder: Path, outside: str) -> None:
    shard(folder)
    content = json.loads((folder / INDEX).read_text())
    moved = {key: outside for key in content["weight_map"]}
    (folder / INDEX).write_text(json.dumps({"weight_map": moved}))
    (folder / "part-0.safetensors").rename(folder.parent / "part-0.safetensors")
    with pytest.raises(BaseModelProblem, match="outside the folder"):
        load(folder)
    configure(folder, transformers_weights=outside)
    with pytest.raises(BaseModelProblem, match="outside the folder"):
        load(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", PICKLED])
def test_pickled_weights_are_not_read(folder: Path, name: str) -> None:
    torch.save(load_file(folder / SINGLE), folder / name)
    (folder / SINGLE).unlink()
    with pytest.raises(BaseModelProblem, match=r"has no .*model\.safetensors"):
        load(folder)


def test_the_codec_s_weights_are_left_out(folder: Path) -> None:
    state = load_file(folder / SINGLE)
    assert any(key.startswith("codec_model.") for key in state)
    assert not any(key.startswith("codec_model.") for key in load(folder))


@pytest.mark.parametrize("kept", [BACKBONE_AUDIO, DEPTH_AUDIO, None])
def test_either_of_two_tied_embeddings_is_enough(tied: Path, kept: str | None) -> None:
    state = load_file(tied / SINGLE)
    whole = next(state[key] for key in (BACKBONE_AUDIO, DEPTH_AUDIO) if key in state)
    rest = {key: state[key] for key in state if key not in (BACKBONE_AUDIO, DEPTH_AUDIO)}
    both = {BACKBONE_AUDIO: whole, DEPTH_AUDIO: whole.clone()}
    save_file(rest | {k: v for k, v in both.items() if kept in (k, None)}, tied / SINGLE)
    base = CsmFamily().open(read_config(tied))
    model = base.load(torch.float32)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    assert parameters[BACKBONE_AUDIO] is parameters[DEPTH_AUDIO]
    assert parameters[DEPTH_AUDIO].equal(whole)
    assert sum(parameter.numel() for parameter in model.parameters()) == base.shape.parameters


def test_tied_embeddings_that_differ_are_refused(folder: Path) -> None:
    configure(folder, tie_codebooks_embeddings=True)
    with pytest.raises(BaseModelProblem, match="but they differ") as refused:
        load(folder)
    assert "tie_codebooks_embeddings to false" in refused.value.hint


def test_neither_of_two_tied_embeddings_is_missed(tied: Path) -> None:
    state = load_file(tied / SINGLE)
    rest = {key: state[key] for key in state if key not in (BACKBONE_AUDIO, DEPTH_AUDIO)}
    save_file(rest, tied / SINGLE)
    with pytest.raises(BaseModelProblem, match="2 missing"):
        load(tied)


def test_embeddings_that_are_not_tied_are_both_needed(folder: Path) -> None:
    state = load_file(folder / SINGLE)
    save_file({key: state[key] for key in state if key != BACKBONE_AUDIO}, folder / SINGLE)
    with pytest.raises(BaseModelProblem, match=f"1 missing .{BACKBONE_AUDIO}"):
        load(folder)


def test_tied_embeddings_have_an_adapter_each(tied: Path) -> None:
    base = CsmFamily().open(read_config(tied))
    config = LoraConfig(rank=2, targets=("embeddings",))
    model = add_adapter(base.load(torch.float32), base.targets, config, base_name="tiny", seed=1)
    counted = sum(parameter.numel() for parameter in trainable(model).values())
    assert counted == base.shape.lora_parameters(2, ("embeddings",))
    assert sum(".depth_decoder." in name for name in trainable(model)) == 2
