"""The loop over frames: from a prompt to codes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import torch
from peft import PeftModel

from fintts_inputs.errors import SpeechProblem
from fintts_trainer.synthesis.recent import own_row
from fintts_trainer.synthesis.sampling import Sampler, penalised

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from fintts_trainer.synthesis.recent import Recent
    from fintts_trainer.synthesis.request import Sampling, SpeechRequest


class FrameModel(Protocol):
    """A model in the middle of an utterance, with what it has read in its caches."""

    def next_column(self, columns: Tensor, choices: Choices) -> Tensor | None:
        """Reads columns [rows, T], and chooses the next one; None is the end.

        The first call reads the prompt, each later one the column that was chosen before.
        """
        ...


@dataclass
class Choices:
    """Draws the values of a column, row by row.

    Attributes:
        columns: chosen so far, int64 [rows, n].
        disallowed: for each column, whether the likeliest class was not among those allowed.
    """

    sampler: Sampler
    sampling: Sampling
    recent: Recent
    columns: Tensor
    disallowed: list[Tensor] = field(default_factory=list)

    @property
    def is_first(self) -> bool:
        """Whether there is no column yet, so that the end is not allowed."""
        return not self.columns.shape[1]

    def draw(self, row: int, scores: Tensor, allowed: Tensor | None = None) -> Tensor:
        """A class from scores [classes], 0-dimensional.

        Args:
            row: of the column that is being chosen.
            allowed: the classes that may be drawn; None is all.
        """
        scores = scores.float()
        if self.sampling.repetition_penalty != 1.0:
            past = self.recent(self.columns, row)
            scores = penalised(scores, past, self.sampling.repetition_penalty)
        if allowed is None:
            return self.sampler.draw(scores)
        self.disallowed.append((allowed != scores.argmax()).all())
        return allowed[self.sampler.draw(scores[allowed])]


@dataclass(frozen=True, slots=True)
class Generated:
    """Columns int64 [rows, n] in the model's own form, without the end."""

    columns: Tensor
    ended: bool
    disallowed: int


@torch.no_grad()
def generate(
    model: FrameModel,
    prompt: Tensor,
    request: SpeechRequest,
    sampling: Sampling,
    on_frame: Callable[[int], None],
    recent: Recent = own_row,
) -> Generated:
    """Generates until the model ends or the limit is reached.

    Args:
        prompt: int64 [rows, T], on the model's device.
        on_frame: gets the number of frames after each.
    """
    made = prompt.new_empty(prompt.shape[0], request.most_frames)
    sampler = Sampler(sampling, request.seed, prompt.device)
    choices = Choices(sampler, sampling, recent, made[:, :0])
    columns, ended = prompt, False
    for count in range(request.most_frames):
        column = model.next_column(columns, choices)
        if column is None:
            ended = True
            break
        made[:, count] = column
        choices.columns = made[:, : count + 1]
        columns = column[:, None]
        on_frame(count + 1)
    preferred = int(torch.stack(choices.disallowed).sum()) if choices.disallowed else 0
    return Generated(choices.columns, ended, preferred)


def plain(model: nn.Module) -> nn.Module:
    """The family's own module, whose layers hold the adapter if there is one."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def with_room(prompt_length: int, request: SpeechRequest, positions: int) -> SpeechRequest:
    """The same request, with no more frames than the model has positions for.

    Raises:
        SpeechProblem: the prompt leaves no position.
    """
    left = positions - prompt_length
    if left < 1:
        raise SpeechProblem(
            f"the text is too long: with what is around it, it takes {prompt_length:,} of the "
            f"model's {positions:,} positions, and each frame of speech takes one more",
            "speak it in parts, or with a shorter reference",
        )
    return replace(request, most_frames=min(request.most_frames, left))
