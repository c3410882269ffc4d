"""Runs the trainer as a child process that follows a plan and answers in lines of JSON."""

from __future__ import annotations

import os
import signal
from subprocess import PIPE
from typing import TYPE_CHECKING

from pydantic import ValidationError

from fintts_cli.local_trainer import start_trainer
from fintts_inputs.environment import PARENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def follow_trainer(command: str, plan: Path, hear: Callable[[bytes], None]) -> int:
    """Runs `python -m fintts_trainer COMMAND --plan FILE` to its end; returns its exit code.

    Args:
        hear: gets each line; a ValidationError means that a library printed the line. Any other
            error ends the child.

    Raises:
        KeyboardInterrupt: Ctrl-C, after the child has ended.
    """
    # The child ends with this process, even if this one is killed.
    environment = {PARENT: str(os.getpid())}
    with start_trainer(command, "--plan", plan, environment=environment, stdout=PIPE) as child:
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
