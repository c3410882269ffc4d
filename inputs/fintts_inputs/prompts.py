"""The prompts that base models are served with: a run is trained with one, and says which.

A run keeps the prompt that it began with: trained on two, an adapter would fit neither.
"""

from __future__ import annotations

from enum import StrEnum

from fintts_inputs.errors import ConfigurationChanged

SAME_VERSION = "use the version that the run was begun with, or begin a new one"


class Prompt(StrEnum):
    """What is around an utterance's text, and which pieces of it are tokenised as one string."""

    FISH_JOINED = "fish-joined"
    FISH_S1 = "fish-s1"
    FISH_1_5 = "fish-1.5"
    FISH_S2 = "fish-s2"
    CSM = "csm"

    @property
    def layout(self) -> str:
        """For people: one line."""
        return _LAYOUTS[self]

    @property
    def most_tokens(self) -> int:
        """At most so many, beside those of the text and the frames."""
        return _MOST_TOKENS[self]


_LAYOUTS = {
    Prompt.FISH_JOINED: "<|interleave|><|speaker:0|>TEXT, mark and text tokenised as one string: "
    "what fintts trained every Fish Speech model with before runs recorded their prompt",
    Prompt.FISH_S1: "<|interleave|><|speaker:0|>TEXT, mark and text tokenised apart",
    Prompt.FISH_1_5: "<|im_start|>user, TEXT, <|im_end|><|im_start|>assistant, <|voice|>",
    Prompt.FISH_S2: "<|im_start|>user, <|speaker:0|>TEXT, <|im_end|>, <|im_start|>assistant, "
    "<|voice|>",
    Prompt.CSM: "<|begin_of_text|>[0]TEXT<|end_of_text|>",
}
_MOST_TOKENS = {
    Prompt.FISH_JOINED: 16,
    Prompt.FISH_S1: 16,
    Prompt.FISH_1_5: 20,
    Prompt.FISH_S2: 34,
    Prompt.CSM: 6,
}
"""Where every byte of what is spelled is a token."""


def prompt_begun_with(recorded: str | None, served: Prompt) -> Prompt:
    """The prompt of a run, a checkpoint or an adapter.

    Args:
        recorded: what it says itself; None from a version of fintts that had one a family.
        served: what the base model is served with.

    Raises:
        ConfigurationChanged: the base model has no such prompt, as far as this version knows.
    """
    known = [Prompt.CSM] if served is Prompt.CSM else [one for one in Prompt if one != Prompt.CSM]
    if recorded is None:
        return known[0]
    if recorded not in known:
        raise ConfigurationChanged(
            f"the prompt {recorded!r} is none that this version of fintts has for the base model",
            SAME_VERSION,
        )
    return Prompt(recorded)


def of_another_prompt(begun: Prompt, served: Prompt) -> str | None:
    """What to say where a run goes on with another prompt than a new one would get."""
    if begun is served:
        return None
    return (
        f"the run goes on with the prompt {begun} that it began with; the base model is served "
        f"with {served}, which a new run gets"
    )
