"""The trainer's encoder as a child process, which tells how far it is."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from fintts_cli.errors import CheckFailed, UsageProblem
from fintts_cli.local_trainer import require_trainer
from fintts_cli.trainer_answers import follow_trainer
from fintts_inputs.recordings.plan import Answer, Encoded, Progress, Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READERS = ("soundfile", "soxr", "pyloudnorm")


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
    done: list[Encoded] = []

    def hear(line: bytes) -> None:
        answer = Answer.model_validate_json(line).answer
        if isinstance(answer, Refused):
            raise CheckFailed(answer.error, answer.hint)
        if isinstance(answer, Encoded):
            done.append(answer)
        else:
            tell(answer)

    code = follow_trainer("encode", plan, hear)
    if not done:
        raise CheckFailed(
            f"the encoder ended with exit code {code}",
            "what was encoded by then stays: the same command goes on from there",
        )
    return done[0]
