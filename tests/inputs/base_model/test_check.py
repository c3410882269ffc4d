"""What is wrong with a base model's folder is said before anything is rented."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fintts_inputs.base_model.files import INDEX
from fintts_inputs.base_model.open import open_base_model
from fintts_inputs.errors import BaseModelProblem
from tiny_run import TINY
from tiny_s2 import SHARDS, write_tiny_s2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "base"))


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights missing": (lambda f: (f / "model.pth").unlink(), "has no model.pth"),
    "weights empty": (
        lambda f: (f / "model.pth").write_bytes(b""),
        "not a complete torch.save file",
    ),
    "weights truncated": (lambda f: truncate(f / "model.pth"), "not a complete torch.save file"),
    "another model's": (
        lambda f: change_config(f, vocab_size=10_000_000),
        "do not fit its config.json",
    ),
    "odd heads": (lambda f: change_config(f, n_head=7), "7 heads of"),
    "tokens a list": (lambda f: (f / "special_tokens.json").write_text("[]"), "not a table"),
    "tokens no json": (lambda f: (f / "special_tokens.json").write_text("{"), "is not JSON"),
    "tokenizer empty": (lambda f: (f / "tokenizer.tiktoken").write_text(""), "not a tiktoken"),
    "tokenizer html": (lambda f: (f / "tokenizer.tiktoken").write_text("<html>"), "not a tiktoken"),
}
S2_DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "shard missing": (lambda f: (f / SHARDS[0]).unlink(), f"has no {SHARDS[0]}"),
    "shard truncated": (lambda f: truncate(f / SHARDS[1]), "is not a complete safetensors file"),
    "shard empty": (
        lambda f: (f / SHARDS[1]).write_bytes(b""),
        "is not a complete safetensors file",
    ),
    "shard outside": (
        lambda f: (f / INDEX).write_text('{"weight_map": {"a": "../b"}}'),
        "outside the folder",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer"),
    "tokenizer a list": (lambda f: (f / "tokenizer.json").write_text("[]"), "not a tokenizer"),
    "config missing": (lambda f: (f / "config.json").unlink(), "has no config.json"),
    "no weights": (lambda f: (f / INDEX).unlink(), "has no model.pth or model.safetensors or"),
}


def test_a_sound_folder_passes(folder: Path) -> None:
    open_base_model(folder)


def test_so_does_one_in_several_files(tmp_path: Path) -> None:
    open_base_model(write_tiny_s2(tmp_path / "s2"))


@pytest.mark.parametrize("name", S2_DAMAGES)
def test_what_is_damaged_among_several_files_is_one_sentence(tmp_path: Path, name: str) -> None:
    folder = write_tiny_s2(tmp_path / "s2")
    damage, said = S2_DAMAGES[name]
    damage(folder)
    with pytest.raises(BaseModelProblem, match=said) as caught:
        open_base_model(folder)
    assert caught.value.hint


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_one_sentence(folder: Path, name: str) -> None:
    damage, said = DAMAGES[name]
    damage(folder)
    with pytest.raises(BaseModelProblem, match=said) as caught:
        open_base_model(folder)
    assert caught.value.hint


def test_an_opened_folder_knows_digest_and_licence_and_reads_them_once(folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    opened, again = open_base_model(folder), open_base_model(folder)
    assert opened.digest == again.digest
    assert opened.licence.identifier == "mit"
    assert opened.sizes == {each.name: each.size_bytes for each in opened.file_refs}
    digest = opened.digest
    shutil.rmtree(folder)
    assert (opened.digest, opened.licence.identifier) == (digest, "mit")
