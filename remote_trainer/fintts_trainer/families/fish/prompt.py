"""An utterance as the served model reads it: `<|interleave|><|speaker:0|>TEXT CODES<|im_end|>`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fintts_trainer.families.base import Example

if TYPE_CHECKING:
    import numpy.typing as npt

    from fintts_trainer.families.fish.tokenizer import FishTokenizer

SPEAKER = "<|speaker:0|>"


def encode(tokenizer: FishTokenizer, text: str, codes: npt.NDArray[np.int64]) -> Example:
    """Builds the serving prompt around one utterance; codes are int64 [codebooks, frames]."""
    # The speaker mark and the text are split as one string: that is how the model is served.
    text_ids = [tokenizer.interleave_id, *tokenizer.encode_text(SPEAKER + text)]
    start, stop = len(text_ids), len(text_ids) + codes.shape[1]
    tokens = np.zeros((1 + codes.shape[0], stop + 1), dtype=np.int64)
    tokens[0, :start] = text_ids
    tokens[0, start:stop] = codes[0] + tokenizer.semantic_begin_id
    tokens[1:, start:stop] = codes
    tokens[0, stop] = tokenizer.end_id
    return Example(tokens, text_length=start, end_has_codes=False)
