"""The prompt of transformers' CsmProcessor for a single speaker.

`<|begin_of_text|>[0]TEXT<|end_of_text|>`, the frames, and a frame of end codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fintts_trainer.families.base import Example

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fintts_inputs.base_model.csm.config import CsmConfigFile
    from fintts_trainer.families.csm.tokenizer import CsmTokenizer
    from fintts_trainer.synthesis.request import Reference

SPEAKER = "[0]"


def encode(
    tokenizer: CsmTokenizer, config: CsmConfigFile, text: str, codes: npt.NDArray[np.int64]
) -> Example:
    """An utterance in its prompt; codes are int64 [codebooks, frames].

    Row 0 holds the ids of the text and, at frames, text_vocab_size + the first code.
    """
    # The processor tokenizes speaker and text as one string.
    words = tokenizer.encode_text(SPEAKER + text)
    text_ids = [tokenizer.begin_id, *words, tokenizer.end_id]
    start, stop = len(text_ids), len(text_ids) + codes.shape[1]
    tokens = np.zeros((codes.shape[0], stop + 1), dtype=np.int64)
    tokens[0, :start] = text_ids
    tokens[:, start:stop] = codes
    tokens[:, stop] = config.codebook_eos_token_id
    tokens[0, start:] += config.text_vocab_size
    return Example(tokens, text_length=start, end_has_codes=True)


def encode_request(
    tokenizer: CsmTokenizer, config: CsmConfigFile, text: str, references: Sequence[Reference]
) -> npt.NDArray[np.int64]:
    """Everything before the frames to generate: int64 [codebooks, T].

    Each reference is a turn of the same speaker with its frames and their end.
    """
    none = np.zeros((config.num_codebooks, 0), dtype=np.int64)
    own = encode(tokenizer, config, text, none)
    turns = [encode(tokenizer, config, one.text, one.codes).tokens for one in references]
    return np.concatenate([*turns, own.tokens[:, : own.text_length]], axis=1)
