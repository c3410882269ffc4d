"""The set-up and run scripts, executed by bash with a small trainer in the real one's place."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from fintts_templates import TaskValues, render

INSTANCE = Path(__file__).parents[2] / "task_templates/fintts_templates/instance"
TRAINER = """
import os, signal, sys
from pathlib import Path
def note(text):
    with Path("notes").open("a") as file:
        file.write(text + "\\n")
if sys.argv[1] == "conclude":
    note(" ".join(sys.argv[1:]))
    if os.environ.get("CONCLUDE") == "hangs":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()
    sys.exit(1)
note("PYTHONPATH " + os.environ["PYTHONPATH"])
def save(*_):
    # timeout signals its child, then the whole group: the second may come while Python ends.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("saved")
    sys.exit(75)
kind = os.environ["KIND"]
signal.signal(signal.SIGTERM, save)
if kind == "exits":
    sys.exit(3)
Path("ready").touch()
while True:
    signal.pause()
"""


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "workdir"
    (folder / "fintts_trainer").mkdir(parents=True)
    (folder / "fintts_trainer" / "__init__.py").touch()
    (folder / "fintts_trainer" / "__main__.py").write_text(TRAINER)
    (folder / "check_requirements.py").write_bytes(
        (INSTANCE / "check_requirements.py").read_bytes()
    )
    (tmp_path / "fintts-python").write_text(f"{sys.executable}\n")
    return folder


def script(name: str) -> str:
    content: dict[str, str] = yaml.safe_load(render(TaskValues(run="r", workdir="w", envs={})))
    return content[name]


def start(
    name: str,
    workdir: Path,
    *,
    seconds_left: float = 600,
    change: tuple[str, str] = ("", ""),
    **envs: str,
) -> subprocess.Popen[str]:
    """Starts the script of this name, with a part of its text replaced."""
    assert change[0] in script(name)
    deadline_at = datetime.now(UTC) + timedelta(seconds=seconds_left)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(workdir.parent),
        "FINTTS_DEADLINE_AT": deadline_at.isoformat(),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return subprocess.Popen(
        ["bash", "-c", script(name).replace(*change) if change[0] else script(name)],
        cwd=workdir,
        env=environment | envs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Waits for the script; returns what it printed."""
    output, _ = process.communicate()
    return output


def wait_for(path: Path) -> None:
    """Waits for another process to make the file."""
    give_up_at = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < give_up_at, f"{path} did not appear"
        time.sleep(0.02)


def notes(workdir: Path) -> list[str]:
    return (workdir / "notes").read_text().splitlines()


def chosen_python(workdir: Path) -> str:
    return (workdir.parent / "fintts-python").read_text().strip()


def test_set_up_takes_a_python_that_has_everything(workdir: Path) -> None:
    (workdir / "requirements.in").write_text(f"PyYAML=={yaml.__version__}\n")
    process = start("setup", workdir, FINTTS_PYTHON=sys.executable)
    output = finish(process)
    assert (process.returncode, output) == (0, "")
    assert chosen_python(workdir) == sys.executable
    assert not (workdir.parent / "fintts-venv").exists()


def write_wheel(folder: Path) -> str:
    """A package that can be had; returns its SHA-256."""
    folder.mkdir()
    info, path = "needed-1.0.dist-info", folder / "needed-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("needed.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: needed\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def require(workdir: Path, sha256: str) -> None:
    """The package, as an instance is told of it."""
    (workdir / "requirements.in").write_text("needed==1.0\n")
    (workdir / "requirements.txt").write_text(f"needed==1.0 \\\n    --hash=sha256:{sha256}\n")


def test_set_up_makes_a_python_with_what_is_missing(workdir: Path) -> None:
    require(workdir, write_wheel(workdir.parent / "wheels"))
    process = start(
        "setup",
        workdir,
        FINTTS_PYTHON=sys.executable,
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(workdir.parent / "wheels"),
    )
    output = finish(process)
    assert process.returncode == 0, output
    assert "needed 1.0 is pinned, but none is installed" in output
    python = chosen_python(workdir)
    assert Path(python).is_relative_to(workdir.parent)
    subprocess.run([python, "-c", "import needed"], check=True)


def test_set_up_fails_if_a_package_cannot_be_had(workdir: Path) -> None:
    require(workdir, "0" * 64)
    (workdir.parent / "fintts-python").unlink()
    process = start("setup", workdir, FINTTS_PYTHON=sys.executable, PIP_NO_INDEX="1")
    assert "needed==1.0" in finish(process)
    assert process.returncode != 0
    assert not (workdir.parent / "fintts-python").exists()


def test_set_up_installs_nothing_whose_hash_is_another(workdir: Path) -> None:
    write_wheel(workdir.parent / "wheels")
    require(workdir, "0" * 64)
    (workdir.parent / "fintts-python").unlink()
    process = start(
        "setup",
        workdir,
        FINTTS_PYTHON=sys.executable,
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(workdir.parent / "wheels"),
    )
    assert "DO NOT MATCH THE HASHES" in finish(process)
    assert process.returncode != 0
    assert not (workdir.parent / "fintts-python").exists()


def test_run_exits_as_the_trainer_did_though_its_last_word_failed(workdir: Path) -> None:
    process = start("run", workdir, KIND="exits", PYTHONPATH="/elsewhere")
    finish(process)
    assert process.returncode == 3
    assert notes(workdir) == [f"PYTHONPATH {workdir}", "conclude --exit-code 3"]


@pytest.mark.parametrize("seconds_left", [2, -3600])
def test_trainer_that_never_ends_is_ended_at_the_deadline(
    workdir: Path, seconds_left: float
) -> None:
    process = start("run", workdir, seconds_left=seconds_left, KIND="hangs")
    finish(process)
    assert process.returncode == 124
    assert notes(workdir)[-1] == "conclude --exit-code 124"


@pytest.mark.parametrize("name", ["setup", "run"])
def test_a_clock_that_is_an_hour_behind_the_request_makes_no_hour_more(
    workdir: Path, name: str
) -> None:
    python = workdir.parent / "hangs"
    python.write_text("#!/bin/sh\nsleep 600\n")
    python.chmod(0o755)
    # As a machine sees it whose clock shows an hour less than that of who asked for it.
    asked_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    process = start(
        name,
        workdir,
        seconds_left=3602,
        KIND="hangs",
        FINTTS_ASKED_AT=asked_at,
        FINTTS_PYTHON=str(python),
    )
    finish(process)
    assert process.returncode == 124


def test_preempted_trainer_saves_and_its_exit_code_is_kept(workdir: Path) -> None:
    process = start("run", workdir, KIND="hangs")
    wait_for(workdir / "ready")
    process.send_signal(signal.SIGTERM)
    finish(process)
    assert process.returncode == 75
    assert notes(workdir)[1:] == ["saved", "conclude --exit-code 75"]


def test_a_guard_that_is_stopped_is_ended_soon_after_the_deadline(workdir: Path) -> None:
    process = start("run", workdir, seconds_left=3, KIND="hangs", change=("left + 125", "left + 1"))
    wait_for(workdir / "ready")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    [guard] = [pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "timeout\n"]
    os.kill(int(guard), signal.SIGSTOP)
    finish(process)
    assert process.returncode == 137
    assert notes(workdir)[-1] == "conclude --exit-code 137"


def test_a_last_word_that_hangs_costs_a_minute_at_most(workdir: Path) -> None:
    change = ("--kill-after=5 50", "--kill-after=1 1")
    process = start("run", workdir, KIND="exits", CONCLUDE="hangs", change=change)
    began = time.monotonic()
    finish(process)
    assert process.returncode == 3
    assert time.monotonic() - began < 30
    assert notes(workdir)[-1] == "conclude --exit-code 3"


def test_a_set_up_that_hangs_ends_at_the_deadline(workdir: Path) -> None:
    python = workdir.parent / "hangs"
    python.write_text("#!/bin/sh\nsleep 600\n")
    python.chmod(0o755)
    process = start("setup", workdir, seconds_left=2, FINTTS_PYTHON=str(python))
    finish(process)
    assert process.returncode == 124
