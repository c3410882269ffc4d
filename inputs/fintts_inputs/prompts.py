"""Prompts: a run trains with one that its base model is served with, and records its name.

A run keeps its first prompt, since an adapter trained with two would fit neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.errors import ConfigurationChanged

if TYPE_CHECKING:
    from collections.abc import Sequence

SAME_VERSION = "use the version that started the run, or start a new run"


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text around an utterance, and how it is divided for the tokenizer.

    Attributes:
        name: the name in run.json, checkpoints and adapters.
        layout: for people, one line.
        most_tokens: upper limit of the tokens beside those of the text and the frames.
    """

    name: str
    layout: str
    most_tokens: int

    def __str__(self) -> str:
        return self.name


def prompt_begun_with(recorded: str | None, known: Sequence[Prompt]) -> Prompt:
    """The prompt of a run, a checkpoint or an adapter.

    Args:
        recorded: its name there; None in records of earlier versions, which had one prompt per
            family.
        known: the prompts of the base model's family, first the one of earlier versions.

    Raises:
        ConfigurationChanged: this version knows no such prompt for the base model.
    """
    if recorded is None:
        return known[0]
    for prompt in known:
        if prompt.name == recorded:
            return prompt
    raise ConfigurationChanged(
        f"this version of fintts does not know the prompt {recorded!r} for this base model",
        SAME_VERSION,
    )


def of_another_prompt(begun: Prompt, served: Prompt) -> str | None:
    """A note if a run keeps another prompt than a new run would get."""
    if begun == served:
        return None
    return (
        f"the run keeps its prompt, {begun}; the base model is served with {served}, which new "
        "runs use"
    )
