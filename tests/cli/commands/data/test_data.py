"""`fintts data check` names every problem by its file; `fintts data pack` writes one file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from command_line import invoke
from fintts_cli.estimate.workload import workload_of_files
from fintts_inputs.data.listing import list_folder

KALEVALA = Path(__file__).parents[4] / "examples" / "kalevala" / "data"


def data(*arguments: str) -> Result:
    return invoke(["data", *arguments])


@pytest.fixture
def folder(own_folder: Path) -> Path:
    """Forty sound pairs."""
    target = own_folder / "speech"
    target.mkdir()
    for source in sorted(KALEVALA.glob("*.npy"))[:40]:
        shutil.copy(source, target)
        shutil.copy(source.with_suffix(".lab"), target)
    return target


def test_a_sound_folder_is_counted(folder: Path) -> None:
    result = data("check", "speech")
    assert result.exit_code == 0, result.stderr
    assert "40: " in result.stdout
    assert "codebooks   4" in result.stdout
    assert "steps of 8 utterances" in result.stdout
    assert "not checked against its codebooks" in result.stderr


def test_the_document_holds_what_the_text_says(folder: Path) -> None:
    result = data("check", "speech", "--json", "--frames-per-second", "25")
    content = json.loads(result.stdout)
    counts = f"40: {content['train']} to train on, {content['held_out']} held out"
    assert counts in data("check", "speech").stdout
    assert content["train"] > content["held_out"]
    assert content["utterances"] == 40
    assert content["train"] + content["held_out"] == 40
    assert content["steps_per_epoch"] == -(-content["train"] // 8)
    assert content["hours"] == pytest.approx(content["frames"] / 25 / 3600)
    assert content["problems"] == []


def test_every_problem_is_named_by_its_file(folder: Path) -> None:
    names = sorted(path.stem for path in folder.glob("*.npy"))
    (folder / f"{names[0]}.lab").unlink()
    (folder / f"{names[1]}.npy").unlink()
    (folder / f"{names[2]}.lab").write_text(" \n")
    (folder / f"{names[3]}.npy").write_bytes(b"not numpy")
    np.save(folder / f"{names[4]}.npy", np.zeros(7, dtype=np.int64))
    np.save(folder / f"{names[5]}.npy", np.zeros((4, 0), dtype=np.int64))
    np.save(folder / f"{names[6]}.npy", np.full((4, 9), -1))
    np.save(folder / f"{names[7]}.npy", np.zeros((5, 9), dtype=np.int64))
    result = data("check", "speech")
    assert result.exit_code == 1
    for name in names[:8]:
        assert name in result.stdout, name
    assert "the data has 8 problems" in result.stderr
    assert names[8] not in result.stdout


def test_what_looks_wrong_is_named_in_text_and_document(folder: Path) -> None:
    one, two, three = sorted(folder.glob("*.lab"))[:3]
    one.write_text("hyvÃ¤Ã¤ päivää", encoding="utf-8")
    two.write_text("hyv\ufffd\u202e", encoding="utf-8")
    three.write_text(unicodedata.normalize("NFD", "hyvää yötä"), encoding="utf-8")
    result = data("check", "speech")
    assert result.exit_code == 0, result.stderr
    assert f'{one.name}: holds "Ã¤", which looks like UTF-8' in result.stdout
    assert f"{two.name}: holds U+FFFD REPLACEMENT CHARACTER, which replaces" in result.stdout
    assert f"{two.name}: holds U+202E RIGHT-TO-LEFT OVERRIDE" in result.stdout
    assert "1 utterance whose name or text is converted to NFC" in result.stdout
    content = json.loads(data("check", "speech", "--json").stdout)
    assert [warning["file"] for warning in content["warnings"]] == [one.name, two.name, two.name]
    assert content["normalised_utterances"] == 1


@pytest.fixture
def small_model(folder: Path, own_folder: Path) -> None:
    """A configured base model whose codebooks are too small for the folder's codes."""
    (own_folder / "model").mkdir()
    (own_folder / "model" / "config.json").write_text(
        json.dumps(
            {
                "model_type": "dual_ar",
                "vocab_size": 100,
                "n_layer": 1,
                "n_head": 1,
                "dim": 8,
                "intermediate_size": 8,
                "codebook_size": 64,
                "num_codebooks": 4,
            }
        )
    )
    (own_folder / "fintts.yaml").write_text("data: speech\nbase_model: model\n")


@pytest.mark.usefixtures("small_model")
def test_codes_beyond_the_base_model_are_named() -> None:
    result = data("check")
    assert result.exit_code == 1
    assert "the last one of the base model is 63" in result.stdout


@pytest.mark.usefixtures("small_model")
def test_codes_beyond_the_base_model_are_not_packed(own_folder: Path) -> None:
    result = data("pack", "--to", "packed")
    assert result.exit_code == 1
    assert "the last one of the base model is 63" in result.stderr
    assert not (own_folder / "packed").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (["check"], "no data folder is given", 2),
        (["pack"], "no data folder is given", 2),
        (["check", "nowhere"], "nowhere does not exist", 2),
        (["check", "empty"], "has no .npy or .lab files", 1),
        (["pack", "empty"], "has no .npy or .lab files", 1),
    ],
)
def test_a_folder_that_cannot_be_looked_at_is_one_sentence(
    own_folder: Path, arguments: list[str], sentence: str, code: int
) -> None:
    has_folder = len(arguments) > 1
    (own_folder / "empty").mkdir()
    result = data(*arguments)
    assert result.exit_code == code
    assert sentence in result.stderr
    assert ("give a folder of recordings with their texts" in result.stderr) == has_folder
    assert result.stdout == ""


def test_a_batch_larger_than_the_data_is_warned_about(folder: Path, own_folder: Path) -> None:
    (own_folder / "fintts.yaml").write_text("training: {batch_size: 41}\n")
    result = data("check", "speech")
    assert "training.batch_size (fintts.yaml:1) is 41 samples, more than" in result.stderr


def test_a_pack_is_named_by_its_content(folder: Path, own_folder: Path) -> None:
    result = data("pack", "speech", "--to", "packed", "--json")
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    path = own_folder / content["path"]
    assert path.stem == content["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert content["utterances"] == 40
    again = data("pack", "speech")
    assert again.stdout.strip() == f"{content['sha256']}.safetensors"


def test_half_a_pair_is_not_packed(folder: Path) -> None:
    next(folder.glob("*.lab")).unlink()
    result = data("pack", "speech")
    assert result.exit_code == 1
    assert "1 problem" in result.stderr
    assert "fintts data check" in result.stderr


def test_what_cannot_be_shown_is_escaped(folder: Path) -> None:
    (folder / "\x1b[31mred.npy").write_bytes(b"")
    (folder / "\udcff.lab").write_bytes(b"")
    result = data("check", "speech")
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout
    document = json.loads(data("check", "speech", "--json").stdout)
    files = {problem["file"] for problem in document["problems"]}
    assert files == {r"\x1b[31mred.npy", r"\udcff.lab"}


def test_a_base_model_that_is_not_there_is_warned_about(folder: Path) -> None:
    result = data("check", "speech", "--base-model", "nowhere", "--quiet")
    assert result.exit_code == 0
    assert "the base model folder" in result.stderr
    assert "nowhere" in result.stderr


def test_hidden_pairs_are_warned_about(folder: Path) -> None:
    (folder / "._a.npy").write_bytes(b"")
    result = data("check", "speech")
    assert result.exit_code == 0
    assert "._a.npy: is hidden, so it is not used" in result.stdout


def test_every_problem_is_listed_and_the_first_warnings(folder: Path) -> None:
    for n in range(30):
        (folder / f"x{n:02d}.lab").write_text("x")
        (folder / f".y{n:02d}.lab").write_text("x")
    text = data("check", "speech").stdout
    assert sum("beside it" in line for line in text.splitlines()) == 30
    assert sum("is hidden" in line for line in text.splitlines()) == 20
    assert "and 10 more (--json lists all)" in text
    content = json.loads(data("check", "speech", "--json").stdout)
    assert (len(content["problems"]), len(content["warnings"])) == (30, 30)


@pytest.mark.parametrize("target", ["file", "file/below"])
def test_a_pack_that_cannot_be_written_is_one_sentence(
    folder: Path, own_folder: Path, target: str
) -> None:
    (own_folder / "file").write_text("x")
    result = data("pack", "speech", "--to", target)
    assert result.exit_code == 2
    assert target in result.stderr
    assert "hint: " in result.stderr
    assert result.stdout == ""


def test_a_pipe_keeps_no_estimate_waiting(folder: Path) -> None:
    for path in sorted(folder.glob("*.npy"))[:3]:
        path.unlink()
        os.mkfifo(path)
    assert workload_of_files(folder, list_folder(folder).files, 0.1).frames > 0
