"""Runs the trainer's encoder as a child process that reports its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.errors import CheckFailed
from fintts_cli.sound_packages import require_readers
from fintts_cli.trainer_process.local_trainer import require_trainer
from fintts_cli.trainer_process.trainer_answers import follow_trainer
from fintts_inputs.recordings.plan import Answer, Encoded, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_inputs.recordings.plan import EncodePlan, Refused


def require_encoder() -> None:
    """Raises UsageProblem if the packages that encode recordings are not installed."""
    require_readers("trainer,audio")
    require_trainer()


def encode(plan: EncodePlan, tell: Callable[[Progress], None]) -> Encoded:
    """Runs the trainer's encoder.

    Raises:
        CheckFailed: the encoder failed; the utterances that it finished are kept.
        KeyboardInterrupt: Ctrl-C; the utterances that it finished are kept.
    """
    done: list[Encoded] = []

    def read(line: bytes) -> Progress | Encoded | Refused:
        return Answer.model_validate_json(line).answer

    def hear(answer: Progress | Encoded | Refused) -> None:
        if isinstance(answer, Encoded):
            done.append(answer)
        elif isinstance(answer, Progress):
            tell(answer)

    code = follow_trainer("encode", plan, read, hear)
    if not done:
        raise CheckFailed(
            f"the encoder ended with exit code {code}",
            "its output above says why; the same command continues where it stopped",
        )
    return done[0]
