"""What `fintts train` says of data, model and adapter before it touches the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from cli_project import write_project
from command_line import invoke
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.runs import create_run
from run_samples import record


@pytest.fixture
def project(own_folder: Path) -> Path:
    return write_project(own_folder)


def train(*options: str) -> Result:
    return invoke(["train", "--name", "mine", *options])


def _model(project: Path) -> None:
    (project / "model").mkdir()
    (project / "model" / "config.json").write_text("{}")
    settings = project / "fintts.yaml"
    lines = [one for one in settings.read_text().splitlines() if "base_model" not in one]
    settings.write_text("\n".join([*lines, "base_model: model"]))


def _text(project: Path) -> None:
    (project / "speech" / "u003.lab").write_bytes(b"\xff")


def _adapter(project: Path) -> None:
    (project / "adapter").mkdir()
    with (project / "fintts.yaml").open("a") as settings:
        settings.write("initial_adapter: adapter\n")


@pytest.mark.parametrize(
    ("spoil", "said"), [(_model, "config.json"), (_text, "u003.lab"), (_adapter, "adapter")]
)
def test_what_cannot_be_trained_with_leaves_nothing_in_the_store(
    project: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(project)
    refused = train()
    assert refused.exit_code in (1, 2), refused.output
    assert said in refused.stderr
    assert not (project / "store").exists()


def test_texts_that_look_wrong_are_named_as_by_a_launch(project: Path) -> None:
    for number in range(4):
        path = project / "speech" / f"u00{number}.lab"
        path.write_text("hyvÃ¤Ã¤ pÃ¤ivÃ¤Ã¤", encoding="utf-8")
    create_run(DirectoryStore(project / "store"), record(run="mine"))  # so it begins no training
    refused = train()
    assert refused.exit_code == 2, refused.output
    assert "warning: u000.lab " in refused.stderr
    assert 'may be "hyvää päivää"' in refused.stderr
    assert "more in the data\nhint: `fintts data check` lists all" in refused.stderr
