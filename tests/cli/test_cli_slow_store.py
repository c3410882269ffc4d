"""A store that hangs: a command that shows something says so within 20 seconds."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fintts_cli.app import build
from fintts_store import patience
from silent_server import KINDS, silent_server


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "command", [["ps"], ["report", "mine"], ["logs", "mine"], ["watch", "mine"], ["stop", "mine"]]
)
def test_a_server_that_hangs_is_named(
    kind: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with silent_server(kind) as server:
        began = time.monotonic()
        result = CliRunner().invoke(
            build(),
            ["cloud", *command, "--store", "s3://bucket/runs", "--s3-endpoint-url", server],
        )
    assert time.monotonic() - began < 20
    assert result.exit_code == 5
    assert f"s3://bucket at {server} cannot be reached" in result.stderr


HURRIED = patience.Patience(tries=2, connect_seconds=1, silent_seconds=0.2, total_seconds=0.5)


@pytest.mark.parametrize(
    "command",
    [
        *(["store", "check"], ["cloud", "pull-checkpoints", "mine"]),
        *(["export", "mine", "--format", "peft"], ["cloud", "prune", "mine"]),
    ],
)
def test_a_command_that_carries_much_asks_quickly_whether_the_server_is_there(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for longer than a test may take, if it asked as patiently as it carries."""
    assert patience.CARRYING.at_first == patience.IMPATIENT
    monkeypatch.setattr(patience, "CARRYING", replace(patience.CARRYING, at_first=HURRIED))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with silent_server("says nothing") as server:
        asked = [*command, "--store", "s3://bucket/runs", "--s3-endpoint-url", server]
        if command[0] == "store":
            asked.remove("--store")
        result = CliRunner().invoke(build(), asked)
    assert result.exit_code == 5, result.output
    assert f"s3://bucket at {server} cannot be reached" in result.output
