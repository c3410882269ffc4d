"""The trainer's speaker as a child process."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fintts_cli.errors import CheckFailed
from fintts_cli.trainer_answers import follow_trainer
from fintts_inputs.recordings.plan import Refused
from fintts_inputs.speech.plan import Frames, SpeechAnswer, SpeechDone, Spoken

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_inputs.speech.plan import SpeechPlan


def speak(
    plan: SpeechPlan, show: Callable[[Frames], None], tell: Callable[[Spoken], None]
) -> list[Spoken]:
    """Lets the trainer speak; `tell` gets each file as soon as it is written.

    Raises:
        CheckFailed: it cannot; files that are written stay.
        KeyboardInterrupt: Ctrl-C; files that are written stay.
    """
    spoken: list[Spoken] = []
    done: list[SpeechDone] = []

    def hear(line: bytes) -> None:
        answer = SpeechAnswer.model_validate_json(line).answer
        if isinstance(answer, Refused):
            raise CheckFailed(answer.error, answer.hint)
        if isinstance(answer, Frames):
            show(answer)
        elif isinstance(answer, Spoken):
            spoken.append(answer)
            tell(answer)
        else:
            done.append(answer)

    with TemporaryDirectory(prefix="fintts-") as scratch:
        path = Path(scratch, "plan.json")
        path.write_text(plan.model_dump_json(), encoding="utf-8")
        code = follow_trainer("speak", path, hear)
    if not done:
        raise CheckFailed(
            f"the trainer's speak ended with exit code {code}", "what went wrong stands above"
        )
    return spoken
