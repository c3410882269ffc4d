"""On your own machine a few steps are trained to find out how long they take."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from stat import S_IMODE

import pytest

from cli_project import Shell, write_project
from fintts_cli.estimate.dry_run import spread
from fintts_cli.estimate.pace import DryPace, digest_of_work, find_dry_pace, remember_dry_pace
from fintts_cli.settings.model import Settings
from tiny_run import TINY

SIZES = {"config.json": 10, "model.pth": 2000}
PACE = DryPace(
    seconds_per_step=0.25,
    setup_seconds=4.0,
    steps=12,
    measured_at=datetime(2026, 11, 29, tzinfo=UTC),
)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A project that says neither a rate nor a pace."""
    folder = write_project(tmp_path / "project")
    path = folder / "fintts.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(x for x in lines if not x.startswith(("hourly", "forecast"))))
    return Shell(folder)


def test_init_measures_so_that_estimate_and_launch_work(shell: Shell) -> None:
    done = shell(
        "init", "--force", "--infra", "local", "--data", "speech", "--base-model", str(TINY)
    )
    assert done.returncode == 0, done.stderr
    assert "a step takes" in done.stderr
    assert S_IMODE(shell.state.stat().st_mode) == 0o700
    bill = shell("estimate")
    assert bill.returncode == 0, bill.stderr
    assert "measured by a dry run of 12 steps here" in " ".join(bill.stdout.split())
    assert "$0.00 an hour, from: this machine" in bill.stdout
    planned = shell("cloud", "launch", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert [path.name for path in shell.state.iterdir() if path.name.startswith("dry-run-")] == []


def test_an_estimate_of_work_that_nobody_measured_measures_it(shell: Shell) -> None:
    measuring = "measuring how fast this machine trains"
    measured = shell("estimate")
    assert measured.returncode == 0, measured.stderr
    assert measuring in measured.stderr
    assert "a dry run of 12 steps here" in " ".join(measured.stdout.split())
    assert measuring not in shell("estimate").stderr
    assert measuring in shell("estimate", "--batch-size", "2").stderr


def test_a_launch_here_measures_by_itself(shell: Shell) -> None:
    done = shell("cloud", "launch", "--yes", "--name", "own", "--max-steps", "6", "--budget", "1")
    assert done.returncode == 0, done.stderr
    assert "measuring how fast this machine trains" in done.stderr
    (run,) = shell.document("cloud", "ps")
    assert (run["run"], run["cost_so_far_usd"]) == ("own", 0.0)


def test_a_dry_run_that_fails_names_its_log_and_leaves_nothing(shell: Shell) -> None:
    failed = shell("estimate", "--measure", FINTTS_PROCESSES="0")
    assert failed.returncode == 1, failed.stderr
    assert "before its first step" in failed.stderr
    assert str(shell.state / "dry-run.log") in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not list(shell.state.glob("dry-run-*"))
    assert not (shell.state / "paces").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"batch_size": 4}},
        {"training": {"precision": "bf16"}},
        {"lora": {"rank": 16}},
        {"data": "elsewhere"},
    ],
)
def test_a_pace_holds_for_the_same_work_alone(tmp_path: Path, change: dict[str, object]) -> None:
    settings = Settings(infra="local")
    remember_dry_pace(tmp_path, settings, SIZES, PACE)
    found = find_dry_pace(tmp_path, settings, SIZES)
    assert found is not None
    assert (found.seconds_per_step.likely, found.setup_seconds) == (0.25, 4.0)
    assert found.seconds_per_step.low < 0.25 < found.seconds_per_step.high
    other = Settings.model_validate({"infra": "local", **change})
    assert find_dry_pace(tmp_path, other, SIZES) is None
    assert find_dry_pace(tmp_path, settings, {**SIZES, "model.pth": 2001}) is None


def test_steps_learning_rate_and_cadences_change_no_pace() -> None:
    other = Settings.model_validate(
        {"training": {"max_steps": 7, "learning_rate": 0.5, "seed": 1}, "validation": {"every": 3}}
    )
    assert digest_of_work(other, SIZES) == digest_of_work(Settings(), SIZES)


@pytest.mark.parametrize(
    "text", ["", "{", '{"seconds_per_step": -1}', PACE.dump().replace("0.25", '"NaN"'), "[" * 9999]
)
def test_a_damaged_pace_counts_as_none(tmp_path: Path, text: str) -> None:
    settings = Settings(infra="local")
    remember_dry_pace(tmp_path, settings, SIZES, PACE)
    (path,) = (tmp_path / "paces").iterdir()
    path.write_text(text)
    assert find_dry_pace(tmp_path, settings, SIZES) is None


def test_utterances_come_from_all_over_the_folder() -> None:
    names = [str(number) for number in range(1000)]
    assert spread(names, 4) == ["0", "250", "500", "750"]
    assert spread(names[:3], 64) == ["0", "1", "2"]
