"""The URLs of notifications reach the run as a secret, and nothing that anyone can read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import Result

from cli_project import Shell, write_project
from command_line import invoke
from notify_server import PATH, Trouble, notify_server

SECRET = PATH.rpartition("/")[2]
URL = f"https://hooks.example.com{PATH}"


def fintts(*arguments: str) -> Result:
    done = invoke(list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert SECRET not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    "line",
    [
        f"notify: {URL}",
        f"notify: [{URL}, {URL}2]",
        f"notify: [{URL}, 7]",
        f"notify: {{a: {URL}}}",
        f"notify: ftp://me:{SECRET}@host",
        f"notify: {URL}: x",
        f"notify: [{URL}",
        f"notify: '{URL}",
        f"notify:\n  - {URL}\n  {URL}: 1",
        f"notify: [{', '.join([URL] * 9)}]",
        f"notfy: {URL}",
        f"notify: {URL} name: x",
        f"notify: https://host/${{{SECRET}}}",
        f"notify: https://host/{SECRET}/${{a}}/{'b' * 60}",
        f"notify: !{SECRET} x",
        f"notify:https://host/{SECRET}",
        f"notify = https://host/#{SECRET}",
        f"training: {{notify:https://host/{SECRET}}}",
    ],
)
@pytest.mark.parametrize("option", ["--config", "--json"])
def test_no_spelling_of_the_setting_is_shown(line: str, option: str, own_folder: Path) -> None:
    (own_folder / "fintts.yaml").write_text(f"infra: local\n{line}\n")
    fintts("doctor", option)


def test_a_variable_holds_several_urls(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINTTS_NOTIFY", f"{URL} {URL}2")
    document = json.loads(fintts("doctor", "--config", "--json").stdout)
    assert document["notify"] == {"value": ["**********"] * 2, "origin": "FINTTS_NOTIFY"}
    monkeypatch.setenv("FINTTS_NOTIFY", f"ftp://host{PATH}")
    refused = fintts("doctor", "--config")
    assert refused.exit_code == 2
    assert "notify: should be URLs that begin with https:// or http://" in refused.stderr


@pytest.mark.parametrize(
    ("trouble", "said"), [(None, "1 notification sent"), ("refuses", "/… refuses it (HTTP 403)")]
)
def test_doctor_sends_a_notification_only_if_asked(
    trouble: Trouble | None, said: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with notify_server(trouble) as server:
        monkeypatch.setenv("FINTTS_NOTIFY", server.url)
        fintts("doctor", "--infra", "local")
        assert server.paths == []
        shown = fintts("doctor", "--infra", "local", "--notify")
        assert said in shown.stdout
        assert len(server.paths) == 1
    monkeypatch.delenv("FINTTS_NOTIFY")
    assert "notify is not set" in fintts("doctor", "--infra", "local", "--notify").stdout


def test_a_launched_run_sends_from_its_instance(tmp_path: Path) -> None:
    shell = Shell(write_project(tmp_path / "speech"))
    with notify_server() as server:
        done = shell("cloud", "launch", "--yes", "--name", "mine", FINTTS_NOTIFY=server.url)
    assert done.returncode == 0, done.stderr
    assert server.events[:2] == ["launched", "new_best"]
    assert server.events[-1] == "ended"
    assert "this launch costs at most $" in server.bodies[-1]["text"]
    assert SECRET not in done.stdout + done.stderr
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path
