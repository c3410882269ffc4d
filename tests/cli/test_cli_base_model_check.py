"""What is wrong with a base model's folder is said before anything is rented."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fintts_cli.base_model_check import check_base_model
from fintts_trainer.errors import BaseModelProblem
from tiny_run import TINY


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
    "weights empty": (lambda f: (f / "model.pth").write_bytes(b""), "no whole file of weights"),
    "weights truncated": (lambda f: truncate(f / "model.pth"), "no whole file of weights"),
    "another model's": (lambda f: change_config(f, vocab_size=10_000_000), "too few for the"),
    "odd heads": (lambda f: change_config(f, n_head=7), "7 heads of"),
    "tokens a list": (lambda f: (f / "special_tokens.json").write_text("[]"), "not a table"),
    "tokens no json": (lambda f: (f / "special_tokens.json").write_text("{"), "is not JSON"),
    "tokenizer empty": (lambda f: (f / "tokenizer.tiktoken").write_text(""), "not a tiktoken"),
    "tokenizer html": (lambda f: (f / "tokenizer.tiktoken").write_text("<html>"), "not a tiktoken"),
}


def test_a_sound_folder_passes(folder: Path) -> None:
    check_base_model(folder)


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_one_sentence(folder: Path, name: str) -> None:
    damage, said = DAMAGES[name]
    damage(folder)
    with pytest.raises(BaseModelProblem, match=said) as caught:
        check_base_model(folder)
    assert caught.value.hint
