"""A config.json that does not fit its weights is found by the headers of the files, without torch,
and the trainer's loader says the very same."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fintts_inputs.base_model.csm import weights as csm_weights
from fintts_inputs.base_model.families import read_config, read_shape
from fintts_inputs.base_model.files import INDEX, PICKLED, SAFETENSORS
from fintts_inputs.base_model.open import open_base_model
from fintts_inputs.base_model.torch_file import read_torch_file
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.families.csm import CsmFamily
from fintts_trainer.families.fish.weights import from_fish
from fintts_trainer.families.weight_files import read_state_dict, stored
from tiny_csm import write_tiny_csm
from tiny_run import TINY
from tiny_s2 import SHARDS, write_tiny_s2

V15 = TINY.parent / "fish_v15_tiny"


def write_s1_safetensors(folder: Path) -> Path:
    shutil.copytree(TINY, folder)
    state = {name: weight.clone() for name, weight in read_state_dict(TINY).items()}
    save_file(state, folder / SAFETENSORS)
    (folder / PICKLED).unlink()
    return folder


def write_tied_csm(folder: Path) -> Path:
    return write_tiny_csm(folder, tied=True)


WRITERS: dict[str, Callable[[Path], object]] = {
    "s1": lambda folder: shutil.copytree(TINY, folder),
    "v15": lambda folder: shutil.copytree(V15, folder),
    "s1 safetensors": write_s1_safetensors,
    "s2": write_tiny_s2,
    "csm": write_tiny_csm,
    "tied csm": write_tied_csm,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("made")
    for name, write in WRITERS.items():
        write(top / name)
    return {name: top / name for name in WRITERS}


@pytest.fixture
def copied(made: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(made[name], tmp_path / name))


def configure(folder: Path, changes: Mapping[str, object]) -> None:
    """Sets keys of config.json; a dot leads into a table."""
    path = folder / "config.json"
    content = json.loads(path.read_text())
    for key, value in changes.items():
        table = content
        *tables, last = key.split(".")
        for name in tables:
            table = table[name]
        assert table.get(last, "nothing") != value
        table[last] = value
    path.write_text(json.dumps(content))


def refused(folder: Path) -> BaseModelProblem:
    with pytest.raises(BaseModelProblem) as caught:
        open_base_model(folder)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value


def load(folder: Path) -> None:
    """As the trainer does, but for the tokenizer."""
    shape = read_shape(folder)
    if shape.family == "csm":
        CsmFamily().open(read_config(folder)).load(torch.float32)
    else:
        from_fish(read_state_dict(folder), shape)


@pytest.mark.parametrize("name", WRITERS)
def test_what_fits_passes(made: dict[str, Path], name: str) -> None:
    open_base_model(made[name])
    load(made[name])


FLAT: dict[str, dict[str, object]] = {
    "n_layer": {"n_layer": 4},
    "n_layer less": {"n_layer": 2},
    "n_fast_layer": {"n_fast_layer": 3},
    "n_fast_layer less": {"n_fast_layer": 1},
    "dim": {"dim": 96},
    "fast_dim": {"fast_dim": 32},
    "n_head": {"n_head": 8},
    "n_local_heads": {"n_local_heads": 4},
    "head_dim": {"head_dim": 8},
    "intermediate_size": {"intermediate_size": 161},
    "fast_intermediate_size": {"fast_intermediate_size": 159},
    "num_codebooks": {"num_codebooks": 5},
    "codebook_size": {"codebook_size": 65},
    "vocab_size": {"vocab_size": 353},
    "tie_word_embeddings": {"tie_word_embeddings": True},
    "fast_attention_qk_norm": {"fast_attention_qk_norm": True},
}
NESTED: dict[str, dict[str, object]] = {
    "text_config.n_layer": {"text_config.n_layer": 4},
    "text_config.n_layer less": {"text_config.n_layer": 2},
    "audio_decoder_config.n_layer": {"audio_decoder_config.n_layer": 3},
    "text_config.dim": {"text_config.dim": 96, "audio_decoder_config.text_dim": 96},
    "text_config.attention_qk_norm": {"text_config.attention_qk_norm": False},
    "text_config.tie_word_embeddings": {"text_config.tie_word_embeddings": False},
    "text_config.vocab_size": {"text_config.vocab_size": 400},
    "audio_decoder_config.vocab_size": {"audio_decoder_config.vocab_size": 65},
    "audio_decoder_config.num_codebooks": {"audio_decoder_config.num_codebooks": 3},
    "audio_decoder_config.head_dim": {"audio_decoder_config.head_dim": 32},
}
DEPTH = "depth_decoder_config"
CSM: dict[str, dict[str, object]] = {
    "num_hidden_layers": {"num_hidden_layers": 3},
    "num_hidden_layers less": {"num_hidden_layers": 1},
    f"{DEPTH}.num_hidden_layers": {f"{DEPTH}.num_hidden_layers": 3},
    f"{DEPTH}.num_hidden_layers less": {f"{DEPTH}.num_hidden_layers": 1},
    "hidden_size": {"hidden_size": 64, f"{DEPTH}.backbone_hidden_size": 64},
    f"{DEPTH}.hidden_size": {f"{DEPTH}.hidden_size": 32},
    "intermediate_size": {"intermediate_size": 41},
    f"{DEPTH}.intermediate_size": {f"{DEPTH}.intermediate_size": 41},
    "num_key_value_heads": {"num_key_value_heads": 4},
    "num_codebooks": {"num_codebooks": 3, f"{DEPTH}.num_codebooks": 3},
    "vocab_size": {"vocab_size": 70, f"{DEPTH}.vocab_size": 70},
    "text_vocab_size": {"text_vocab_size": 300},
}
CHANGES = [
    *(("s1", key, changes) for key, changes in FLAT.items()),
    ("s1", "attention_qk_norm", {"attention_qk_norm": False}),
    *(("v15", key, FLAT[key]) for key in ("n_layer", "n_head", "codebook_size")),
    ("v15", "attention_qk_norm", {"attention_qk_norm": True}),
    *(("s1 safetensors", key, FLAT[key]) for key in ("n_layer", "dim", "tie_word_embeddings")),
    *(("s2", key, changes) for key, changes in NESTED.items()),
    *(("csm", key, changes) for key, changes in CSM.items()),
    ("tied csm", "tie_codebooks_embeddings", {"tie_codebooks_embeddings": False}),
]


@pytest.mark.parametrize(("name", "key", "changes"), CHANGES)
def test_the_key_that_does_not_fit_is_named(
    copied: Callable[[str], Path], name: str, key: str, changes: dict[str, object]
) -> None:
    folder = copied(name)
    configure(folder, changes)
    said = refused(folder)
    assert said.message.startswith("the base model's weights do not fit its config.json: ")
    assert key.split()[0] in said.hint.partition(" in config.json, or ")[0].split()
    with pytest.raises(BaseModelProblem) as by_the_trainer:
        load(folder)
    assert (by_the_trainer.value.message, by_the_trainer.value.hint) == (said.message, said.hint)


def test_the_sentence_shows_tensor_shapes_and_key(copied: Callable[[str], Path]) -> None:
    folder = copied("s1")
    configure(folder, {"num_codebooks": 5})
    said = refused(folder)
    assert "codebook_embeddings.weight has shape (256, 64), not (320, 64)" in said.message
    assert said.hint.startswith("correct num_codebooks in config.json, or use config.json and")


@pytest.mark.parametrize("name", ["s1", "s2", "csm"])
@pytest.mark.parametrize("key", ["n_layer", "num_hidden_layers", "dim", "hidden_size"])
@pytest.mark.parametrize("value", ["28", True, 2.5, None])
def test_a_number_has_the_type_of_one(
    copied: Callable[[str], Path], name: str, key: str, value: object
) -> None:
    folder = copied(name)
    content = json.loads((folder / "config.json").read_text())
    table = content.get("text_config", content)
    if key not in table:
        return
    table[key] = value
    (folder / "config.json").write_text(json.dumps(content))
    message = refused(folder).message
    assert key in message
    assert f"a valid integer, not {json.dumps(value)}" in message


# --- files --------------------------------------------------------------------------------------


def test_csm_s_index_is_compared_with_its_files(copied: Callable[[str], Path]) -> None:
    folder = copied("csm")
    state = load_file(folder / SAFETENSORS)
    (folder / SAFETENSORS).unlink()
    where = {key: SHARDS[n % 2] for n, key in enumerate(sorted(state))}
    for shard in SHARDS:
        save_file({key: state[key] for key in state if where[key] == shard}, folder / shard)

    def write(table: dict[str, str]) -> None:
        (folder / INDEX).write_text(json.dumps({"weight_map": table}))

    write(where)
    open_base_model(folder)
    write({**where, "lm_head.weight": SHARDS[1 - SHARDS.index(where["lm_head.weight"])]})
    assert "lm_head.weight" in refused(folder).message
    with pytest.raises(BaseModelProblem, match=r"lm_head\.weight"):
        load(folder)
    write({**where, "lm_head.weight": "gone.safetensors"})
    assert f"has no gone.safetensors, which {INDEX} names" in refused(folder).message


def test_tied_weights_that_differ_are_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("csm")
    configure(folder, {"tie_codebooks_embeddings": True})
    said = refused(folder)
    assert "but they differ" in said.message
    assert "tie_codebooks_embeddings to false" in said.hint
    state = load_file(folder / SAFETENSORS)
    first, second = csm_weights.TIED
    save_file({**state, first: state[second].clone()}, folder / SAFETENSORS)
    open_base_model(folder)
    load(folder)


def test_csm_takes_no_model_pth(copied: Callable[[str], Path]) -> None:
    folder = copied("csm")
    torch.save(load_file(folder / SAFETENSORS), folder / PICKLED)
    (folder / SAFETENSORS).unlink()
    assert f"only {PICKLED}" in refused(folder).message


@pytest.mark.parametrize("name", ["s1", "csm"])
def test_quantised_weights_are_refused(copied: Callable[[str], Path], name: str) -> None:
    folder = copied(name)
    file = folder / (SAFETENSORS if name == "csm" else PICKLED)
    state = dict(load_file(file) if name == "csm" else read_state_dict(folder))
    key = "lm_head.weight" if name == "csm" else "output.weight"
    state = {k: (v.to(torch.int8) if k == key else v.clone()) for k, v in state.items()}
    file.unlink()
    save_file(state, file) if name == "csm" else torch.save(state, file)
    said = refused(folder)
    assert f"{key} is stored as I8" in said.message
    assert "not quantised" in said.hint
    with pytest.raises(BaseModelProblem, match=rf"{key} is stored as"):
        load(folder)


# --- model.pth ----------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [TINY, V15])
def test_model_pth_is_read_as_torch_reads_it(folder: Path) -> None:
    assert read_torch_file(folder / PICKLED) == stored(read_state_dict(folder))


def test_views_parameters_and_buffers_are_read(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    whole = torch.zeros(4, 6)
    views = {"rows": whole[1:, 2:], "turned": whole.t(), "none": torch.zeros(0, 3)}
    for content in (module.state_dict(), dict(module.named_parameters()), views):
        torch.save(content, tmp_path / PICKLED)
        assert read_torch_file(tmp_path / PICKLED) == stored(dict(content))


class Hostile:
    """Unpickled, it makes a folder."""

    def __init__(self, trace: Path, call: Callable[[str], object]) -> None:
        self.trace, self.call = trace, call

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return self.call, (f"mkdir {self.trace}" if self.call is os.system else str(self.trace),)


@pytest.mark.parametrize("call", [os.system, os.mkdir])
def test_code_in_model_pth_is_named_and_not_executed(
    copied: Callable[[str], Path], tmp_path: Path, call: Callable[[str], object]
) -> None:
    folder, trace = copied("s1"), tmp_path / "trace"
    pickle.loads(pickle.dumps(Hostile(trace, call), protocol=2))
    trace.rmdir()
    state = {**read_state_dict(TINY), "norm.weight": Hostile(trace, call)}
    torch.save(state, folder / PICKLED)
    said = refused(folder)
    assert f"it asks for 'posix.{call.__name__}', which is not executed" in said.message
    assert "safetensors" in said.hint
    assert not trace.exists()


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """The zip again; an entry for which `change` gives None is left out."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            changed = change(name, content)
            if changed is not None:
                archive.writestr(name, changed)


PROGRAMS = {
    "empty": b"",
    "no end": b"\x80\x02}",
    "not a table": b"\x80\x02N.",
    "a tuple of nothing": b"\x80\x02t.",
    "a call of nothing": b"\x80\x02R.",
    "a slot that is empty": b"\x80\x02h\x07.",
    "a list": b"\x80\x02].",
    "an instance": b"\x80\x02(ios\nsystem\n.",
    "a name on the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "an extension": b"\x80\x02\x82\x01.",
    "a number as a key": b"\x80\x02}K\x01Ns.",
    "a text": b"\x80\x02}X\x01\x00\x00\x00aX\x01\x00\x00\x00bs.",
    "a state of nothing": b"\x80\x02Nb.",
    "a persistent text": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "html": b"<html>",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_any_other_program_is_one_sentence(copied: Callable[[str], Path], name: str) -> None:
    folder = copied("s1")
    change = PROGRAMS[name]
    rewrite(folder / PICKLED, lambda entry, was: change if entry.endswith("data.pkl") else was)
    assert "does not hold a flat table of weights" in refused(folder).message


@pytest.mark.parametrize("content", [None, b"", b"short"])
def test_numbers_that_are_not_all_there_are_missed(
    copied: Callable[[str], Path], content: bytes | None
) -> None:
    folder = copied("s1")
    rewrite(folder / PICKLED, lambda entry, was: content if entry.endswith("data/3") else was)
    assert "its storage '3' is truncated" in refused(folder).message


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    path, was, more = tmp_path / PICKLED, b"K\x03\x85", b"K\x04\x85"
    torch.save({"a": torch.zeros(3)}, path)
    rewrite(path, lambda _, content: content.replace(was, more))
    with pytest.raises(BaseModelProblem, match="a tensor extends beyond its storage '0'"):
        read_torch_file(path)


def test_a_program_without_end_is_not_read(copied: Callable[[str], Path]) -> None:
    folder, long = copied("s1"), b"\x80\x02" + b"N" * 2**22
    rewrite(folder / PICKLED, lambda entry, was: long if entry.endswith("data.pkl") else was)
    assert "data.pkl of 4,194,306 bytes, too long" in refused(folder).message


def test_what_is_no_table_of_tensors_is_refused(tmp_path: Path) -> None:
    path, weight = tmp_path / PICKLED, torch.zeros(3)
    for content in ({"state_dict": {"a": weight}}, {"a": weight, "step": 3}, [weight], None):
        torch.save(content, path)
        with pytest.raises(BaseModelProblem, match="not hold a flat table"):
            read_torch_file(path)
    torch.save({"a": weight}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(BaseModelProblem, match=r"not a complete torch\.save file"):
        read_torch_file(path)
