"""The prompt with which a model is served: pieces around the text, the codes, `<|im_end|>`.

Sources: Fish Speech at d3df505 (S1) and v1.5.0 (1.5), both Apache-2.0; for S2 the serving code of
sglang-omni at 3a928b7, Apache-2.0. Fish Speech's trainer adds a system message, which serving does
not use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fintts_inputs.base_model.fish.prompts import FISH_1_5, FISH_JOINED, FISH_S1, FISH_S2
from fintts_inputs.errors import SpeechProblem
from fintts_trainer.families.base import Example

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from fintts_trainer.families.fish.tokenizer import FishTokenizer
    from fintts_trainer.synthesis.request import Reference

INTERLEAVE, START, END, VOICE = "<|interleave|>", "<|im_start|>", "<|im_end|>", "<|voice|>"
CONTROL = frozenset({INTERLEAVE, START, END, VOICE})
SPEAKER = "<|speaker:0|>"
"""not a control token: it is tokenized as text"""

_QUOTES = str.maketrans({"\N{LEFT SINGLE QUOTATION MARK}": "'", "\u2019": "'"})
_EMOJI = re.compile(
    "[\U0001f1e0-\U0001f1ff\U0001f300-\U0001f5ff\U0001f600-\U0001f64f\U0001f680-\U0001f6ff]+"
)


def cleaned(text: str) -> str:
    """The text after the cleaning of 1.5's server: plain apostrophes, no emoji, no repeated
    commas."""
    return re.sub(",{2,}", ",", _EMOJI.sub("", text.strip().translate(_QUOTES)))


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Layout:
    """The pieces of a prompt, each tokenized separately.

    Attributes:
        opening: what comes once, before all turns.
        opening_with_references: the same if a turn with a reference recording follows; None if the
            model takes no references.
        before: control tokens and texts before the text of each turn.
        mark: prefix of the text, tokenized as one string with it.
        after: control tokens and texts between the text and the codes.
        clean: the server's cleaning of the text.
    """

    opening: tuple[str, ...] = ()
    opening_with_references: tuple[str, ...] | None = None
    before: tuple[str, ...] = ()
    mark: str = ""
    after: tuple[str, ...] = ()
    clean: Callable[[str], str] = _as_it_is

    @property
    def control(self) -> frozenset[str]:
        """The control tokens that the tokenizer must have."""
        return CONTROL.intersection((*self.opening, *self.before, *self.after))

    def ids(self, tokenizer: FishTokenizer, text: str) -> list[int]:
        """The ids of everything before the codes, for one turn without references."""
        return [*_spelled(tokenizer, self.opening), *self.turn(tokenizer, text)]

    def turn(self, tokenizer: FishTokenizer, text: str) -> list[int]:
        """The ids of a turn before its codes."""
        words = tokenizer.encode_text(self.mark + self.clean(text))
        before, after = (_spelled(tokenizer, pieces) for pieces in (self.before, self.after))
        return [*before, *words, *after]


LAYOUTS = {
    FISH_JOINED: Layout(opening=(INTERLEAVE,), opening_with_references=(INTERLEAVE,), mark=SPEAKER),
    FISH_S1: Layout(
        opening=(INTERLEAVE,), opening_with_references=(INTERLEAVE,), before=(SPEAKER,)
    ),
    FISH_1_5: Layout(
        opening_with_references=(START, "system\n", "Speak out the provided text.", END),
        before=(START, "user\n"),
        after=(END, START, "assistant\n", VOICE),
        clean=cleaned,
    ),
    FISH_S2: Layout(
        before=(START, "user\n"), mark=SPEAKER, after=(END, "\n", START, "assistant\n", VOICE)
    ),
}


def encode(
    tokenizer: FishTokenizer, layout: Layout, text: str, codes: npt.NDArray[np.int64]
) -> Example:
    """An utterance in its prompt; codes are int64 [codebooks, frames]."""
    text_ids = layout.ids(tokenizer, text)
    tokens = _turn(tokenizer, text_ids, codes)
    return Example(tokens, text_length=len(text_ids), end_has_codes=False)


def encode_request(
    tokenizer: FishTokenizer, layout: Layout, text: str, references: Sequence[Reference], rows: int
) -> npt.NDArray[np.int64]:
    """Everything before the codes to generate: int64 [rows, T].

    Raises:
        SpeechProblem: the model takes no references.
    """
    opening = layout.opening_with_references if references else layout.opening
    if opening is None:
        raise SpeechProblem(
            "imitating a recording is not supported with this base model",
            "speak without --reference",
        )
    parts = [_columns_of(_spelled(tokenizer, opening), rows)]
    for one in references:
        parts.append(_turn(tokenizer, layout.turn(tokenizer, one.text), one.codes))
    parts.append(_columns_of(layout.turn(tokenizer, text), rows))
    return np.concatenate(parts, axis=1)


def _turn(
    tokenizer: FishTokenizer, text_ids: list[int], codes: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    start, stop = len(text_ids), len(text_ids) + codes.shape[1]
    tokens = np.zeros((1 + codes.shape[0], stop + 1), dtype=np.int64)
    tokens[0, :start] = text_ids
    tokens[0, start:stop] = codes[0] + tokenizer.semantic_begin_id
    tokens[1:, start:stop] = codes
    tokens[0, stop] = tokenizer.end_id
    return tokens


def _columns_of(ids: list[int], rows: int) -> npt.NDArray[np.int64]:
    """Tokens without codes."""
    columns = np.zeros((rows, len(ids)), dtype=np.int64)
    columns[0] = ids
    return columns


def _spelled(tokenizer: FishTokenizer, pieces: tuple[str, ...]) -> list[int]:
    ids: list[int] = []
    for piece in pieces:
        ids += [tokenizer.id_of(piece)] if piece in CONTROL else tokenizer.encode_text(piece)
    return ids
