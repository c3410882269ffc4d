"""Whom the rig takes for a process of the laptop, and ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rig.processes import on_laptop
from waiting import wait_until

DAEMON = """\
import ctypes, os, signal, subprocess, sys, threading
child = subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL)
print(os.getpid(), child.pid, flush=True)
threading.Thread(target=signal.pause).start()
if sys.argv[1] == "dying":
    ctypes.CDLL(None).pthread_exit(None)
"""
"""Says its number and its child's; a server that is killed is for a moment one whose first thread
has ended, while its children are its own."""


@contextmanager
def a_daemon(kind: str) -> Iterator[tuple[int, int]]:
    """Without the HOME that is looked for, as one that has overwritten its environment."""
    command = ["setsid", "--fork", sys.executable, "-c", DAEMON, kind]
    with subprocess.Popen(command, env={}, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        server, child = map(int, started.stdout.readline().split())
        try:
            yield server, child
        finally:
            for pid in (child, server):
                os.kill(pid, signal.SIGKILL)


def test_a_daemon_and_its_children_are_of_the_laptop(tmp_path: Path) -> None:
    with a_daemon("living") as pids:
        assert set(pids) <= set(on_laptop(tmp_path))


def test_the_children_of_a_dying_one_are_too(tmp_path: Path) -> None:
    with a_daemon("dying") as pids:
        stat = Path(f"/proc/{pids[0]}/stat")
        wait_until(lambda: ") Z " in stat.read_text())
        assert set(pids) <= set(on_laptop(tmp_path))


def test_who_has_its_home_is_and_who_started_the_tests_is_not(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path)}
    with (
        subprocess.Popen(["sleep", "1000"]) as ours,
        subprocess.Popen(["sleep", "1000"], env=environment) as of_laptop,
    ):
        found = on_laptop(tmp_path)
        for process in (ours, of_laptop):
            process.kill()
    assert of_laptop.pid in found
    assert not {ours.pid, os.getpid(), os.getppid()} & set(found)
