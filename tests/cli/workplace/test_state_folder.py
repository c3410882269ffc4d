"""What this machine remembers: in a folder that is known, writable and closed to other users."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from cli_project import FINTTS, Shell, write_project
from fintts_cli.errors import ConfigError
from fintts_cli.workplace.state_folder import open_state, state_directory

LAUNCH = ("cloud", "launch", "--yes", "--detach", "--name", "planned")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_new_folder_is_closed_to_others(state: Path) -> None:
    assert open_state() == []
    assert mode(state) == 0o700
    assert list(state.iterdir()) == []
    assert open_state() == []


def test_an_open_folder_is_closed_and_named(state: Path) -> None:
    (state / "journal").mkdir(parents=True, mode=0o755)
    (state / "store" / "runs").mkdir(parents=True, mode=0o755)
    for file in (state / "journal" / "a.json", state / "store" / "runs" / "b"):
        file.touch(mode=0o644)
    state.chmod(0o755)
    (said,) = open_state()
    assert said == f"{state} was open to other users of this machine; it is private now"
    assert [mode(state), mode(state / "journal")] == [0o700, 0o700]
    assert mode(state / "journal" / "a.json") == 0o600
    assert mode(state / "store" / "runs" / "b") == 0o644, "behind a folder that is closed"
    assert open_state() == []


def test_a_folder_that_holds_more_than_state_is_named_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path))
    (said,) = open_state()
    assert "is open to other users" in said
    assert mode(tmp_path) == 0o755


def test_the_folder_of_another_user_is_named(state: Path) -> None:
    state.mkdir(mode=0o700)
    os.chown(state, 12345, 12345)
    (said,) = open_state()
    assert said.startswith(f"{state} belongs to another user")


@pytest.mark.parametrize("place", ["/proc/fintts", "{file}/state", "~nobody-has-this-name/state"])
def test_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FINTTS_STATE_DIR", place.format(file=tmp_path / "file"))
    with pytest.raises(ConfigError) as refused:
        open_state()
    assert "FINTTS_STATE_DIR" in refused.value.hint
    assert refused.value.exit_code == 2


def test_relative_names_are_of_the_current_folder(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINTTS_STATE_DIR", "here")
    assert state_directory() == own_folder / "here"


# --- as a user without them meets it --------------------------------------------------------------


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(write_project(tmp_path / "mine"))


def within(shell: Shell, before: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a mount namespace, after some words of a shell."""
    environment = shell.environment
    del environment["FINTTS_STATE_DIR"], environment["XDG_CONFIG_HOME"]
    environment.pop("XDG_STATE_HOME", None)
    script = f"{before} {shlex.join([FINTTS, *arguments])}"
    return subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script],
        cwd=shell.project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


UNKNOWN_USER = "unset HOME; exec unshare --user --map-user=12345 --map-group=12345 --"
READ_ONLY_HOME = "export HOME=/mnt; mount -t tmpfs -o ro tmpfs /mnt;"


@pytest.mark.parametrize("command", [LAUNCH, ("train",)])
def test_without_a_home_nothing_is_uploaded(shell: Shell, command: tuple[str, ...]) -> None:
    done = within(shell, UNKNOWN_USER, *command)
    assert done.returncode == 2, done.stderr
    assert "your home folder is unknown: HOME is not set" in done.stderr
    assert "FINTTS_STATE_DIR" in done.stderr
    assert not (shell.project / "store").exists()
    assert not (shell.project / "~").exists()


@pytest.mark.parametrize("command", [LAUNCH, ("train",)])
def test_with_a_read_only_home_nothing_is_uploaded(shell: Shell, command: tuple[str, ...]) -> None:
    done = within(shell, READ_ONLY_HOME, *command)
    assert done.returncode == 2, done.stderr
    assert "/mnt/.local/state/fintts" in done.stderr
    assert "Read-only file system" in done.stderr
    assert not (shell.project / "store").exists()


@pytest.mark.parametrize("before", [UNKNOWN_USER, READ_ONLY_HOME])
def test_doctor_says_it_too(shell: Shell, before: str) -> None:
    done = within(shell, before, "doctor")
    assert done.returncode == 1, done.stderr
    assert "FINTTS_STATE_DIR" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("before", [UNKNOWN_USER, READ_ONLY_HOME])
@pytest.mark.parametrize("command", [("estimate",), ("cloud", "ps"), ("data", "check", "speech")])
def test_what_needs_no_state_goes_on(shell: Shell, before: str, command: tuple[str, ...]) -> None:
    done = within(shell, before, *command)
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    assert done.returncode in (0, 2), done.stderr


def test_the_current_folder_was_removed(shell: Shell) -> None:
    for command in (LAUNCH, ("estimate",), ("cloud", "ps", "--json")):
        done = within(shell, "mkdir gone; cd gone; rmdir ../gone; export HOME=/tmp; exec", *command)
        assert done.returncode == 2, done.stderr
        assert "the current folder cannot be used: No such file or directory" in (
            done.stdout + done.stderr
        )
