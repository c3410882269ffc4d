"""The models that measure samples: what a launch refuses before anything is uploaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import tiny_eval
from fintts_inputs.config import EvalConfig
from fintts_inputs.errors import BaseModelProblem, EvalModelProblem
from fintts_inputs.eval_models import eval_model_files, recogniser_files


def recogniser(folder: Path, **config: object) -> Path:
    folder.mkdir(exist_ok=True)
    content = {"architectures": ["WhisperForConditionalGeneration"], **config}
    (folder / "config.json").write_text(json.dumps(content))
    save_file({"a": np.zeros(2, np.float32), "b": np.ones(3)}, folder / "model.safetensors")
    for name in ("vocab.json", "preprocessor_config.json"):
        (folder / name).write_text("{}")
    return folder


def test_only_known_files_of_a_recogniser_travel(tmp_path: Path) -> None:
    folder = recogniser(tmp_path / "asr")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "modeling_own.py").write_text("raise SystemExit")
    (folder / "pretrained.pt").write_bytes(b"pickle")
    names = [path.name for path in recogniser_files(folder)]
    assert names == ["config.json", "model.safetensors", "preprocessor_config.json", "vocab.json"]


def test_weights_in_several_files(tmp_path: Path) -> None:
    folder = recogniser(tmp_path / "asr")
    (folder / "model.safetensors").unlink()
    save_file({"a": np.zeros(2, np.float32)}, folder / "model-1.safetensors")
    table = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(table))
    with pytest.raises(EvalModelProblem, match=r"has no model-2\.safetensors, which"):
        recogniser_files(folder)
    save_file({"c": np.ones(3)}, folder / "model-2.safetensors")
    with pytest.raises(EvalModelProblem, match=r"model-2\.safetensors lacks b"):
        recogniser_files(folder)
    save_file({"b": np.ones(3)}, folder / "model-2.safetensors")
    assert {path.name for path in recogniser_files(folder)} >= set(table["weight_map"].values())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.safetensors", "is not a complete safetensors file"),
        ("vocab.json", r"has no tokenizer\.json or vocab\.json"),
        ("preprocessor_config.json", r"has no preprocessor_config\.json or processor_config\.json"),
    ],
)
def test_an_incomplete_recogniser_is_refused(tmp_path: Path, name: str, said: str) -> None:
    file = recogniser(tmp_path / "asr") / name
    if file.suffix == ".json":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(EvalModelProblem, match=said):
        recogniser_files(tmp_path / "asr")


def test_what_is_no_recogniser_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvalModelProblem, match="there is no folder"):
        recogniser_files(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvalModelProblem, match=r"has no config\.json"):
        recogniser_files(tmp_path / "empty")
    writer = recogniser(tmp_path / "writer", architectures=["T5ForConditionalGeneration"])
    with pytest.raises(EvalModelProblem, match="no speech recogniser"):
        recogniser_files(writer)
    other = recogniser(tmp_path / "other", architectures=["BertModel"])
    with pytest.raises(EvalModelProblem, match=r"no speech recogniser: config\.json names Bert"):
        recogniser_files(other)
    unnamed = recogniser(tmp_path / "unnamed", architectures="Whisper")
    with pytest.raises(EvalModelProblem, match="names none"):
        recogniser_files(unnamed)
    pickled = recogniser(tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(EvalModelProblem, match=r"has no model\.safetensors"):
        recogniser_files(pickled)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = recogniser(tmp_path / "asr")
    (tmp_path / "private").write_text("{}")
    (folder / "tokenizer.json").symlink_to(tmp_path / "private")
    with pytest.raises(BaseModelProblem, match="is a link out of the folder"):
        recogniser_files(folder)


@pytest.mark.parametrize(
    ("kind", "name", "wheel"),
    [
        ("speaker_encoder", "pretrained.pt", "resemblyzer==0.1.4"),
        ("dnsmos", "sig_bak_ovr.onnx", "speechmos==0.0.1.1"),
    ],
)
def test_a_missing_file_says_where_it_comes_from(
    tmp_path: Path, kind: str, name: str, wheel: str
) -> None:
    def files(path: Path) -> object:
        return eval_model_files(EvalConfig.model_validate({kind: path}))

    with pytest.raises(EvalModelProblem, match="there is no file") as caught:
        files(tmp_path / name)
    assert wheel in caught.value.hint
    (tmp_path / "other").write_bytes(b"1")
    with pytest.raises(EvalModelProblem, match=f"is not called {name}"):
        files(tmp_path / "other")
    released = {"speaker_encoder": tiny_eval.ENCODER, "dnsmos": tiny_eval.DNSMOS}[kind]
    assert files(released) == {kind: (released,)}
    other = bytearray(released.read_bytes())
    other[-1] ^= 1
    (tmp_path / name).write_bytes(other)
    with pytest.raises(EvalModelProblem, match=f"is not the file of {wheel}"):
        files(tmp_path / name)
