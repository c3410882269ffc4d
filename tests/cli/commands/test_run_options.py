"""What was estimated can be launched: `estimate`, `launch` and `train` take the same options."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from cli_project import write_project
from command_line import invoke
from fintts_cli.commands import estimate, train
from fintts_cli.commands.cloud import launch
from fintts_cli.settings.option_names import KEYS
from fintts_cli.settings.read import known_keys

VALUES = {
    "--batch-size": "5",
    "--gradient-accumulation": "2",
    "--max-steps": "77",
    "--validation-every": "11",
    "--checkpoint-every": "7",
    "--keep-last": "3",
    "--patience": "4",
    "--steps": "60",
    "--seconds-per-step": "1.5",
    "--seconds-per-validation": "9",
    "--checkpoint-bytes": "123456",
    "--setup-seconds": "321",
    "--teardown-seconds": "12",
    "--hourly-rate": "2.40",
}
TRAINING = {name for name, key in KEYS.items() if not key.startswith(("forecast.", "hourly"))}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    return folder


def estimated(*options: str) -> dict[str, object]:
    done = invoke(["estimate", "--json", *options])
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(done.stdout))


def launched(*options: str) -> dict[str, object]:
    command = ["cloud", "launch", "--dry-run", "--json", *options]
    done = invoke(command)
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(done.stdout)["estimate"])


@pytest.mark.parametrize("option", VALUES)
def test_each_option_changes_the_estimate_and_the_launch_alike(project: Path, option: str) -> None:
    given = (option, VALUES[option])
    bill = estimated(*given)
    assert bill != estimated()
    assert launched(*given).items() <= bill.items()


def test_all_options_together_are_launched_as_they_were_estimated(project: Path) -> None:
    given = [word for pair in VALUES.items() for word in pair]
    bill = estimated(*given)
    assert launched(*given)["cost_usd"] == bill["cost_usd"]
    assert bill["steps_per_epoch"] == 4  # ceil(37 or so / 10)


def test_no_option_of_a_run_is_forgotten() -> None:
    assert set(KEYS.values()) <= set(known_keys())
    names = {name.removesuffix("_usd") for name in KEYS}
    for command in (estimate.estimate, launch.launch):
        assert names <= set(inspect.signature(command).parameters)
    assert set(inspect.signature(train.train).parameters) >= TRAINING


def test_train_obeys_what_was_typed(project: Path) -> None:
    done = invoke(["train", "--max-steps", "0"])
    assert done.exit_code == 2
    assert "training.max_steps" in done.stderr
    assert "--max-steps" in done.stderr or "option" in done.stderr
