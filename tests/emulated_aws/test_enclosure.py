"""Nothing of the rig is left behind, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from checks import every
from rig.cloud import EmulatedAws
from rig.traces import traces

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(180)]

HERE = Path(__file__).parent
PATIENCE_SECONDS = 30.0


@pytest.fixture(autouse=True)
def quiet(emulated_aws: EmulatedAws) -> None:
    """Nothing of this enclosure comes and goes meanwhile."""
    emulated_aws.shut_laptop()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_rig_leaves_nothing(end: signal.Signals) -> None:
    before = traces()
    with a_session() as session:
        during = traces()
        assert every(len(during[kind]) > len(before[kind]) for kind in ("processes", "namespaces"))
        session.send_signal(end)
        session.wait(PATIENCE_SECONDS)
        assert_soon(before)


def test_a_rig_whose_test_session_is_killed_leaves_nothing() -> None:
    before = traces()
    with a_session() as session:
        [python] = [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if (folder / "cmdline").read_bytes().split(b"\0")[1:2] == [str(SESSION).encode()]
        ]
        os.kill(python, signal.SIGKILL)
        assert session.wait(PATIENCE_SECONDS) == 128 + signal.SIGKILL
        assert_soon(before)


def test_a_stopped_rig_leaves_nothing_even_inside_its_enclosure() -> None:
    before = traces()
    with a_session() as session:
        said, _ = session.communicate(timeout=PATIENCE_SECONDS)
        assert session.returncode == 0
        inside_before, inside_after = json.loads(said)
        assert inside_after == inside_before
        assert_soon(before)


SESSION = HERE / "a_session.py"


@contextmanager
def a_session() -> Iterator[subprocess.Popen[str]]:
    """In an enclosure of its own, within this one; its instance has booted."""
    process = subprocess.Popen(
        [sys.executable, str(HERE), "run", sys.executable, str(SESSION)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "booted\n"
        yield process


def assert_soon(expected: dict[str, list[str]]) -> None:
    """A killed process takes a moment to go, and its namespaces with it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while traces() != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert traces() == expected
