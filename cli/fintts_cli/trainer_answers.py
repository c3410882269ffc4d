"""The trainer as a child process that works by a plan, and answers in lines of JSON."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

from pydantic import ValidationError

from fintts_cli.local_trainer import TRAINER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PARENT = "FINTTS_PARENT"
"""tells the child whose end is its own"""


def follow_trainer(command: str, plan: Path, hear: Callable[[bytes], None]) -> int:
    """Runs `python -m fintts_trainer COMMAND --plan FILE` to its end; returns its exit code.

    Args:
        hear: gets each line; a ValidationError means that the line is a library's own words. Any
            other error ends the child.

    Raises:
        KeyboardInterrupt: Ctrl-C, after the child has ended.
    """
    with _start(command, plan) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                try:
                    hear(line)
                except ValidationError:
                    continue
        except BaseException:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise
    return child.returncode


def _start(command: str, plan: Path) -> subprocess.Popen[bytes]:
    """In a process group of its own, so that Ctrl-C reaches it once; with signals blocked, until
    it can handle them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        return subprocess.Popen(
            [*TRAINER, command, "--plan", str(plan)],
            env=os.environ | {PARENT: str(os.getpid())},
            stdout=subprocess.PIPE,
            process_group=0,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
