"""A store that hangs: a command that shows something says so within 20 seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fintts_cli.app import build
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
