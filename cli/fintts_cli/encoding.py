"""The trainer's encoder as a child process, which tells how far it is in lines of JSON."""

from __future__ import annotations

import os
import signal
import subprocess
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING

from pydantic import ValidationError

from fintts_cli.errors import CheckFailed, UsageProblem
from fintts_cli.local_trainer import TRAINER, require_trainer
from fintts_inputs.recordings.plan import Answer, Encoded, Progress, Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READERS = ("soundfile", "soxr", "pyloudnorm")
PARENT = "FINTTS_PARENT"
"""tells the child whose end is its own"""


def require_readers() -> None:
    """Raises UsageProblem if the packages that read recordings are not installed."""
    if any(find_spec(package) is None for package in READERS):
        raise UsageProblem(
            "the packages that read recordings are not installed here",
            "pip install 'fintts[trainer,audio]'",
        )


def require_encoder() -> None:
    """Raises UsageProblem if the packages that encode recordings are not installed."""
    require_readers()
    require_trainer()


def encode(plan: Path, tell: Callable[[Progress], None]) -> Encoded:
    """Lets the trainer do what the plan in this file says.

    Raises:
        CheckFailed: it cannot; what was encoded by then stays.
        KeyboardInterrupt: Ctrl-C; what was encoded by then stays.
    """
    child = _start(plan)
    assert child.stdout is not None
    try:
        last = _follow(child.stdout, tell)
        code = child.wait()
    except BaseException:
        child.send_signal(signal.SIGINT)
        child.wait()
        raise
    if isinstance(last, Refused):
        raise CheckFailed(last.error, last.hint)
    if last is None:
        raise CheckFailed(
            f"the encoder ended with exit code {code}",
            "what was encoded by then stays: the same command goes on from there",
        )
    return last


def _follow(lines: IO[bytes], tell: Callable[[Progress], None]) -> Encoded | Refused | None:
    """The last answer; None where the process ended without one."""
    for line in lines:
        try:
            answer = Answer.model_validate_json(line).answer
        except ValidationError:
            continue  # a library's own words
        if not isinstance(answer, Progress):
            return answer
        tell(answer)
    return None


def _start(plan: Path) -> subprocess.Popen[bytes]:
    """In a process group of its own, so that Ctrl-C reaches it once; with signals blocked, until
    it can handle them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        return subprocess.Popen(
            [*TRAINER, "encode", "--plan", str(plan)],
            env=os.environ | {PARENT: str(os.getpid())},
            stdout=subprocess.PIPE,
            process_group=0,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
