"""Runs a command in namespaces of its own, so that nothing of it can outlive it.

Inside, the command has processes, network, mounts and a /tmp of its own: it sees this machine's
files, what it writes to /tmp is in memory, and loopback is all of its network. Whichever process
of it is killed, and by whatever signal, the kernel takes the rest: daemons, mounts, bridges, files.
The tests, SkyPilot's server and the emulated cloud live in one enclosure, as on one machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from rig import network
from rig.image import LAYER
from rig.namespaces import dying_with_parent, unshare

MARK = "EMULATED_AWS_ENCLOSURE"
MEMORY = Path("/mnt")
IMAGE = MEMORY / "image"
"""the instances' disk as it is when they boot, inside an enclosure"""
MEMORY_SIZE = "8g"


def run(command: list[str]) -> int:
    """The command's exit code; SystemExit before the image was built.

    SIGTERM ends the whole enclosure at once; SIGINT is the command's to answer, which gets it from
    the terminal too.
    """
    if not LAYER.exists():
        raise SystemExit("there is no image yet: python tests/emulated_aws build")
    enter = [sys.executable, "-c", f"from rig.enclosure import inside; inside({command!r})"]
    # unshare waits with its signals blocked, so it is killed, also if this process is.
    process = subprocess.Popen(
        dying_with_parent(*unshare("net", "ipc", "uts"), *enter),
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    _on_signal(process, signal.SIGKILL)
    return process.wait()


def inside(command: list[str]) -> None:
    """The first process of the enclosure: when it ends, all others are killed."""
    _mount()
    _run("ip", "link", "set", "lo", "up")
    _run("hostname", "laptop")
    environment = os.environ | {MARK: "inside"}
    del environment["PYTHONPATH"]
    process = subprocess.Popen(command, env=environment)
    # The first process of a PID namespace gets only signals that it has a handler for.
    _on_signal(process, signal.SIGTERM)
    raise SystemExit(_await(process.pid))


def require_enclosure() -> None:
    """Raises RuntimeError outside of an enclosure, where what the rig makes would outlive it."""
    if os.environ.get(MARK) != "inside":
        message = "the emulated AWS runs in an enclosure only: make test-cloud"
        raise RuntimeError(message)


def _mount() -> None:
    # In an enclosure within another the image is already there; opened before it is covered.
    nested = os.environ.get(MARK) == "inside"
    outer_image = os.open(IMAGE, os.O_PATH) if nested else None
    _run("mount", "-t", "proc", "proc", "/proc")
    _run("mount", "-t", "sysfs", "sysfs", "/sys")
    for folder in (MEMORY, Path("/run"), Path("/dev/shm")):
        _run("mount", "-t", "tmpfs", "-o", f"size={MEMORY_SIZE}", "tmpfs", str(folder))
    _lead_to_the_emulated_internet()
    IMAGE.mkdir()
    if outer_image is None:
        # Before /tmp is covered, where the layer may lie.
        layers = f"lowerdir=/,upperdir={LAYER}/upper,workdir={LAYER}/work"
        _run("mount", "-t", "overlay", "-o", f"ro,{layers}", "overlay", str(IMAGE))
    else:
        opened = f"/proc/{os.getpid()}/fd/{outer_image}"
        _run("mount", "--no-canonicalize", "--bind", opened, str(IMAGE))
    _cover_tmp()


def _lead_to_the_emulated_internet() -> None:
    hosts = MEMORY / "hosts"
    hosts.write_text("".join(f"{line}\n" for line in network.hosts("localhost", "laptop")))
    _run("mount", "--bind", str(hosts), "/etc/hosts")


def _cover_tmp() -> None:
    upper, work = MEMORY / "tmp", MEMORY / "work"
    upper.mkdir()
    upper.chmod(0o1777)
    work.mkdir()
    layers = f"lowerdir=/tmp,upperdir={upper},workdir={work}"
    _run("mount", "-t", "overlay", "-o", layers, "overlay", "/tmp")


def _on_signal(process: subprocess.Popen[bytes], answer: signal.Signals) -> None:
    """Sends the answer to the process when this one is asked to end."""

    def end(_number: int, _frame: FrameType | None) -> None:
        process.send_signal(answer)

    def leave(_number: int, _frame: FrameType | None) -> None:
        """Ctrl-C went to the command as well."""

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    signal.signal(signal.SIGINT, leave)


def _await(child: int) -> int:
    """Collects whatever ends, for daemons are left to this process; the child's exit code."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
