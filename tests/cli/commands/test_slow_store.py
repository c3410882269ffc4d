"""A store that hangs: a command that shows something says so within 20 seconds."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from command_line import invoke
from fault_proxy import fault_proxy
from fintts_cli.app import build
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.network import patience
from fintts_store.runs.runs import create_run
from run_samples import record
from s3_servers import make_bucket
from silent_server import KINDS, FallsSilent, silent_server


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
    # Patched, since a command takes nothing but its line, and users have no such option.
    monkeypatch.setattr(patience, "CARRYING", replace(patience.CARRYING, at_first=HURRIED))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with silent_server("says nothing") as server:
        asked = [*command, "--store", "s3://bucket/runs", "--s3-endpoint-url", server]
        if command[0] == "store":
            asked.remove("--store")
        result = invoke(asked)
    assert result.exit_code == 5, result.output
    assert f"s3://bucket at {server} cannot be reached" in result.output


@pytest.mark.parametrize("after", [2, 8])
@pytest.mark.parametrize(("command", "limit_seconds"), [("ps", 20), ("watch", 20), ("down", 60)])
def test_a_server_that_falls_silent_later_holds_no_command(
    command: str,
    limit_seconds: float,
    after: int,
    moto_endpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has answered, so the limit until a first answer is not the one that counts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    bucket = make_bucket(moto_endpoint, f"silent-{command}-{after}")
    for run in ("mine", "other"):
        create_run(S3Store(bucket), record(run=run))
    names = [] if command == "ps" else ["mine"]
    server = FallsSilent(after)
    with fault_proxy(moto_endpoint, server) as proxy:
        url = f"s3://{bucket.bucket}/{bucket.prefix}".rstrip("/")
        asked = [command, *names, "--store", url, "--s3-endpoint-url", proxy.url]
        began = time.monotonic()
        result = invoke(["cloud", *asked])
        took = time.monotonic() - began
        server.ended.set()
    assert took < limit_seconds
    assert result.exit_code == 5, result.output


def test_what_ps_can_do_without_holds_it_for_some_seconds_only(
    moto_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    bucket = make_bucket(moto_endpoint, "silent-at-the-end")
    create_run(S3Store(bucket), record(run="mine"))

    def ps(server: FallsSilent) -> tuple[int, str, int]:
        with fault_proxy(moto_endpoint, server) as proxy:
            url = f"s3://{bucket.bucket}/{bucket.prefix}".rstrip("/")
            asked = ["cloud", "ps", "--store", url, "--s3-endpoint-url", proxy.url]
            result = invoke(asked)
            server.ended.set()
        return result.exit_code, result.stdout, len(proxy.requests)

    _, shown, requests = ps(FallsSilent(10**6))
    began = time.monotonic()
    assert ps(FallsSilent(requests - 1))[:2] == (0, shown), "the clock's alone is left"
    assert time.monotonic() - began < 10
