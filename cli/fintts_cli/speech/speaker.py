"""Runs the trainer's speaker as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.errors import CheckFailed
from fintts_cli.trainer_process.trainer_answers import follow_trainer
from fintts_inputs.speech.plan import Frames, SpeechAnswer, SpeechDone, Spoken

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_inputs.recordings.plan import Refused
    from fintts_inputs.speech.plan import SpeechPlan


def speak(
    plan: SpeechPlan, show: Callable[[Frames], None], tell: Callable[[Spoken], None]
) -> list[Spoken]:
    """Lets the trainer speak; `tell` gets each file as soon as it is written.

    Raises:
        CheckFailed: it cannot speak; finished files are kept.
        KeyboardInterrupt: Ctrl-C; finished files are kept.
    """
    spoken: list[Spoken] = []
    done: list[SpeechDone] = []

    def read(line: bytes) -> Frames | Spoken | SpeechDone | Refused:
        return SpeechAnswer.model_validate_json(line).answer

    def hear(answer: Frames | Spoken | SpeechDone | Refused) -> None:
        if isinstance(answer, Frames):
            show(answer)
        elif isinstance(answer, Spoken):
            spoken.append(answer)
            tell(answer)
        elif isinstance(answer, SpeechDone):
            done.append(answer)

    code = follow_trainer("speak", plan, read, hear)
    if not done:
        raise CheckFailed(
            f"the trainer's speak ended with exit code {code}", "its output above says why"
        )
    return spoken
