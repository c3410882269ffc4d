"""The prompts of Fish Speech's models."""

from __future__ import annotations

from fintts_inputs.prompts import Prompt

# Where every byte of what a prompt spells is a token, it has at most so many.
FISH_JOINED = Prompt(
    "fish-joined",
    "<|interleave|><|speaker:0|>TEXT, mark and text tokenised as one string: "
    "what fintts trained every Fish Speech model with before runs recorded their prompt",
    most_tokens=16,
)
FISH_S1 = Prompt(
    "fish-s1",
    "<|interleave|><|speaker:0|>TEXT, mark and text tokenised apart",
    most_tokens=16,
)
FISH_1_5 = Prompt(
    "fish-1.5",
    "<|im_start|>user, TEXT, <|im_end|><|im_start|>assistant, <|voice|>",
    most_tokens=20,
)
FISH_S2 = Prompt(
    "fish-s2",
    "<|im_start|>user, <|speaker:0|>TEXT, <|im_end|>, <|im_start|>assistant, <|voice|>",
    most_tokens=34,
)
PROMPTS = (FISH_JOINED, FISH_S1, FISH_1_5, FISH_S2)
"""The first one is that of runs without a recorded prompt."""
