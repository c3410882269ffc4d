"""What a command says in any terminal, into any pipe, and under any of Python's own settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cli_project import FINTTS, Shell
from fintts_cli.interpreter import without_current_folder
from fintts_cli.terminal.terminal import Terminal
from fintts_store.output.streams import Outlet

UNREAD = 128 + signal.SIGPIPE
NAME = "Kävely → 日本"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A project whose name no terminal but one of UTF-8 can show."""
    folder = tmp_path / NAME
    folder.mkdir()
    text = f"data: {json.dumps(NAME, ensure_ascii=False)}\n"
    (folder / "fintts.yaml").write_text(text, encoding="utf-8")
    return Shell(folder)


def bash(shell: Shell, script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; fintts() {{ {FINTTS} "$@"; }}; {script}'],
        cwd=shell.project,
        env=shell.environment | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["iso-8859-1", "ascii:strict"])
def test_what_the_terminal_cannot_show_ends_no_command(shell: Shell, encoding: str) -> None:
    script = "fintts doctor --config; fintts estimate --reference-run"
    done = bash(shell, script, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode(encoding.partition(":")[0])
    assert "-> ??" in shown
    assert "1 - 250" in shown or "1 – 250" in shown


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_a_document_is_json_in_every_terminal(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {NAME: [NAME, "\x1b", "\udc80", "👩"]}
    path = tmp_path / "out"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    monkeypatch.setattr(sys, "stdout", Outlet(descriptor, encoding))
    Terminal().document(content)
    os.close(descriptor)
    text = path.read_bytes().decode(encoding)
    assert json.loads(text) == content
    assert "\x1b" not in text
    assert (NAME in text) == (encoding == "utf-8")


EVIL_ARGUMENTS = [
    ("\x1b]52;c;eA==\x07",),
    ("cloud", "\x1b[31m"),
    ("estimate", "--\x1b[2J"),
    ("estimate", "--budget", "\x1b[8m"),
    ("cloud", "launch", "\u202egnal"),
    ("train", "--name", "a", "\x9b1m"),
    ("store", "check", "a", "b\rc"),
]


@pytest.mark.parametrize("arguments", EVIL_ARGUMENTS)
def test_a_usage_error_shows_what_was_typed_and_obeys_nothing(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    from fintts_cli.app import build

    with pytest.raises(SystemExit) as ended:
        typer.main.get_command(build())(list(arguments), prog_name="fintts")
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith("error: ")
    assert "\\" in err or "has a control character" in err
    assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(err)
    assert "hint: see `fintts " in err


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("fintts estimate --reference-run | true", UNREAD, ""),
        ("fintts --help | true", UNREAD, ""),
        ("fintts estimate --reference-run > /dev/full", 1, "No space left on device"),
        ("fintts estimate --reference-run --json >&-", 2, "standard output is closed"),
        ("fintts estimate --reference-run <&- 2>&- > /dev/null", 0, ""),
        ("fintts cloud launch 2> /dev/full", 2, ""),
    ],
)
def test_an_answer_that_nobody_has_is_one_sentence_at_the_most(
    shell: Shell, script: str, code: int, said: str
) -> None:
    done = bash(shell, script)
    err = done.stderr.decode()
    assert done.returncode == code, err
    assert (said in err) if said else err == ""
    assert "Traceback" not in err
    assert not shell.state.exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PYTHONOPTIMIZE", "2"),
        ("PYTHONWARNINGS", "error"),
        ("PYTHONPATH", ":/nowhere"),
    ],
)
def test_python_s_own_settings_change_nothing(shell: Shell, variable: str, value: str) -> None:
    for name in ("typer", "json", "fintts_store"):
        (shell.project / f"{name}.py").write_text("raise SystemExit(77)\n")
    arguments = ("estimate", "--help")
    done = shell(*arguments, **{variable: value})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == shell(*arguments).stdout
    assert "Estimate time and cost of the run" in done.stdout


@pytest.mark.parametrize("module", ["signal", "typer"])
def test_a_module_of_the_current_folder_is_no_part_of_the_program(
    shell: Shell, module: str
) -> None:
    (shell.project / f"{module}.py").write_text("raise SystemExit(77)\n")
    command = [sys.executable, "-m", "fintts_cli", "--version"]
    done = subprocess.run(
        command, cwd=shell.project, env=shell.environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("path", "settled"),
    [
        ("", ""),
        (":", ""),
        (".", ""),
        ("/a:", "/a"),
        (":/a::/b:.", "/a:/b"),
        ("lib:/a:../b", "/a"),
    ],
)
def test_pythonpath_never_means_the_current_folder(path: str, settled: str) -> None:
    assert without_current_folder(path) == settled
