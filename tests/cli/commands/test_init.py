"""`fintts init` writes a file that says everything and passes validation."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from cli_project import FINTTS
from command_line import invoke
from fintts_cli.settings.model import Settings
from fintts_cli.settings.read import known_keys, read_settings
from fintts_cli.settings.sources import from_file
from fintts_cli.settings.template import render_project_file
from fintts_store.disk import durable
from screen import at_a_terminal


def uncommented(text: str) -> str:
    """The file with its optional keys switched on."""
    return re.sub(r"^# ?(  )?([a-z0-9_]+: )", r"\1\2", text, flags=re.MULTILINE)


def test_the_written_file_is_valid_and_says_the_defaults(own_folder: Path) -> None:
    result = invoke(["init"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "fintts.yaml\n"
    settings = read_settings({}, environment={}, folder=own_folder).settings
    assert settings.run_config().data == own_folder / "data"
    places = {"data", "base_model"}
    assert settings.model_dump(exclude=places) == Settings().model_dump(exclude=places)


@pytest.mark.parametrize(
    ("infra", "written", "gpus", "remark"),
    [
        ("any", None, "A100-80GB:1", ""),
        ("*", None, "A100-80GB:1", ""),
        ("local", "local", "A100-80GB:1", "could not be measured"),
        ("gcp", "gcp", "A100-80GB:1", ""),
        ("azure/westus3", "azure/westus3", "A100-80GB:1", ""),
        ("aws", "aws", "A10G:1", "aws rents out no single A100-80GB, so gpus is A10G:1"),
        ("lambda", "lambda", "A6000:1", "lambda rents out no single A100-80GB"),
        ("awz", "awz", "A100-80GB:1", "did you mean aws?"),
        ("kubernetes", "kubernetes", "A100-80GB:1", "--hourly-rate"),
        ("no", "no", "A100-80GB:1", "--hourly-rate"),
    ],
)
def test_the_file_asks_for_a_gpu_that_the_place_has(
    own_folder: Path, infra: str, written: str | None, gpus: str, remark: str
) -> None:
    result = invoke(["init", "--infra", infra])
    assert result.exit_code == 0, result.stderr
    settings = read_settings({}, environment={}, folder=own_folder).settings
    assert (settings.infra, settings.gpus) == (written, gpus)
    assert remark in result.stderr
    assert ("warning" in result.stderr) == bool(remark)


@pytest.mark.parametrize("infra", ["", "  ", "aws/us east", "x: y # z", "aws/", "/us-east-1"])
def test_what_names_no_place_is_refused(own_folder: Path, infra: str) -> None:
    refused = invoke(["init", "--infra", infra])
    assert refused.exit_code == 2
    assert ("is not a valid place" if infra.strip() else "is empty") in refused.stderr
    assert list(own_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "written"), [(b"gcp\n", "gcp"), (b"\n", None), (b" any \n", None)]
)
def test_a_person_is_asked_where_it_shall_run(
    own_folder: Path, answer: bytes, written: str | None
) -> None:
    code, shown = at_a_terminal([FINTTS, "init"], answer, after="Where do you want to train?")
    assert code == 0, shown
    assert read_settings({}, environment={}, folder=own_folder).settings.infra == written


def test_a_file_that_is_there_is_refused_before_the_question(own_folder: Path) -> None:
    (own_folder / "fintts.yaml").write_text("mine")
    code, shown = at_a_terminal([FINTTS, "init"], b"gcp\n", after="exists already")
    assert code == 2
    assert "Where do you" not in shown


def test_every_key_stands_in_the_file(own_folder: Path) -> None:
    path = own_folder / "all.yaml"
    path.write_text(uncommented(render_project_file("d", "m")))
    assert set(from_file(path, known_keys())) == set(known_keys())
    read_settings({}, config=path, environment={}, folder=own_folder)


def test_an_existing_file_is_kept_unless_forced(own_folder: Path) -> None:
    path = own_folder / "fintts.yaml"
    path.write_text("mine")
    refused = invoke(["init"])
    assert refused.exit_code == 2
    assert "fintts.yaml exists already" in refused.stderr
    assert "--force" in refused.stderr
    assert path.read_text() == "mine"
    assert invoke(["init", "--force"]).exit_code == 0
    assert path.read_text() != "mine"


@pytest.mark.parametrize("name", ["no", "speech and text", 'quo"te', "ääni", "a: b # c"])
def test_folders_are_filled_in_whatever_they_are_called(own_folder: Path, name: str) -> None:
    (own_folder / name).mkdir()
    outside = own_folder.parent / "model"
    outside.mkdir()
    arguments = ["init", "--data", name, "--base-model", str(outside)]
    result = invoke(arguments)
    assert result.exit_code == 0, result.stderr
    settings = read_settings({}, environment={}, folder=own_folder).settings
    assert settings.data == own_folder / name
    assert settings.base_model == outside


def test_a_folder_that_is_not_there_is_refused(own_folder: Path) -> None:
    result = invoke(["init", "--data", "nowhere"])
    assert result.exit_code == 2
    assert "the data folder nowhere does not exist" in result.stderr
    assert not (own_folder / "fintts.yaml").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(own_folder: Path) -> None:
    result = invoke(["init", "--config", "nowhere/fintts.yaml"])
    assert result.exit_code == 2
    assert "nowhere/fintts.yaml cannot be written" in result.stderr


def test_a_full_disk_leaves_no_empty_file(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _size_bytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "_sync_file", full)
    refused = invoke(["init"])
    assert refused.exit_code == 2
    assert "no space is left" in refused.stderr
    assert list(own_folder.iterdir()) == []
