"""Speech with Fish Speech's models: one token along time, then the codes of its frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from fintts_inputs.base_model.fish.prompts import FISH_1_5
from fintts_trainer.synthesis.cache import KeyValueCache
from fintts_trainer.synthesis.frames import generate, plain, with_room
from fintts_trainer.synthesis.recent import as_fish_1_5, as_fish_s1, own_row
from fintts_trainer.synthesis.request import Sampling, Speech

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from fintts_inputs.prompts import Prompt
    from fintts_trainer.families.fish.model import DualAR
    from fintts_trainer.families.fish.tokenizer import FishTokenizer
    from fintts_trainer.synthesis.frames import Choices
    from fintts_trainer.synthesis.request import SpeechRequest

SERVED = Sampling(temperature=0.8, top_p=0.8, repetition_penalty=1.1)
SERVED_1_5 = Sampling(temperature=0.7, top_p=0.7, repetition_penalty=1.2)
"""what the servers of S1 and of 1.5 use by default"""
RESIDUAL_CODES = 1024
"""the codes that the server chooses from, on all rows but the first"""


class FishFrames:
    """A `FrameModel`; columns are [token, code 0, …], and code 0 is the token's."""

    def __init__(self, model: DualAR, end_id: int, sizes: tuple[int, ...], room: int) -> None:
        self._model, self._end_id = model, end_id
        self._slow_cache = KeyValueCache(room)
        self._fast_cache = KeyValueCache(model.shape.num_codebooks)
        first, *others = sizes
        self._sizes = [min(size, RESIDUAL_CODES) for size in others]
        begin, device = model.semantic_begin_id, model.codebook_offsets.device
        self._speech = torch.arange(begin, begin + first, device=device)
        self._speech_or_end = torch.cat([self._speech, self._speech.new_tensor([end_id])])

    def read(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Columns [1 + codebooks, T] → the hidden state for their frame, and the scores of the next
        token: [1, dim] and [vocabulary]."""
        model = self._model
        row = model.slow_hidden(columns[None], self._slow_cache.for_transformers)[:, -1]
        normed = cast("Tensor", model.norm(row))
        scores = model.token_scores(normed).logits()[0]
        return (normed if model.shape.norm_fast_input else row), scores

    def next_column(self, columns: Tensor, choices: Choices) -> Tensor | None:
        """Reads columns, and chooses the next one; None is the end."""
        row, scores = self.read(columns)
        allowed = self._speech if choices.is_first else self._speech_or_end
        token = choices.draw(0, scores, allowed)
        if int(token) == self._end_id:
            return None
        model, cache = self._model, self._fast_cache
        cache.clear()
        codes = [token - model.semantic_begin_id]
        inputs = model.first_fast_inputs(row, codes[0][None])
        for number, size in enumerate(self._sizes, 1):
            scores = model.fast_scores(inputs, cache.for_transformers)[0, :size]
            codes.append(choices.draw(1 + number, scores))
            inputs = model.fast.embed_tokens(codes[-1][None, None])
        return torch.stack([token, *codes])


def speak(
    model: torch.nn.Module,
    tokenizer: FishTokenizer,
    prompt: Prompt,
    columns: npt.NDArray[np.int64],
    request: SpeechRequest,
    on_frame: Callable[[int], None],
) -> Speech:
    """Generates what follows the columns.

    Args:
        columns: everything before the codes, int64 [1 + codebooks, T].

    Raises:
        SpeechProblem: the text is too long.
    """
    own = cast("DualAR", plain(model))
    request = with_room(columns.shape[1], request, own.shape.max_seq_len)
    room = columns.shape[1] + request.most_frames
    frames = FishFrames(own, tokenizer.end_id, request.codebook_sizes, room)
    is_1_5 = prompt == FISH_1_5
    recent = own_row
    if request.as_fish:
        recent = as_fish_1_5 if is_1_5 else as_fish_s1
    sampling = (SERVED_1_5 if is_1_5 else SERVED).changed(request.sampling)
    start = torch.from_numpy(columns).to(own.codebook_offsets.device)
    made = generate(frames, start, request, sampling, on_frame, recent)
    return Speech(made.columns[1:].cpu().numpy(), made.ended, made.disallowed)
