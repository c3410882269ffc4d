"""Runs the trainer as a child process that follows a plan and answers in lines of JSON."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from fintts_cli.errors import CheckFailed
from fintts_cli.trainer_process.local_trainer import start_trainer
from fintts_inputs.environment import PARENT
from fintts_inputs.recordings.plan import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic import BaseModel

Answer = TypeVar("Answer")


def follow_trainer(
    command: str,
    plan: BaseModel,
    read: Callable[[bytes], Answer],
    hear: Callable[[Answer], None],
) -> int:
    """Runs `python -m fintts_trainer COMMAND --plan FILE` to its end; returns its exit code.

    Args:
        read: parses a line; a ValidationError means that a library printed it.
        hear: gets each answer but `Refused`; an error ends the child.

    Raises:
        CheckFailed: the trainer refuses the plan.
        KeyboardInterrupt: Ctrl-C, after the child has ended.
    """
    # The child ends with this process, even if this one is killed.
    environment = {PARENT: str(os.getpid())}
    with TemporaryDirectory(prefix="fintts-") as scratch:
        path = Path(scratch, "plan.json")
        path.write_text(plan.model_dump_json(), encoding="utf-8")
        with start_trainer(command, "--plan", path, environment=environment, stdout=PIPE) as child:
            assert child.stdout is not None
            try:
                for answer in _answers(child.stdout, read):
                    hear(answer)
            except BaseException:
                child.send_signal(signal.SIGINT)
                child.wait()
                raise
    return child.returncode


def _answers(lines: Iterable[bytes], read: Callable[[bytes], Answer]) -> Iterable[Answer]:
    for line in lines:
        try:
            answer = read(line)
        except ValidationError:
            continue
        if isinstance(answer, Refused):
            raise CheckFailed(answer.error, answer.hint)
        yield answer
