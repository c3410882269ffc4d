"""Speech with CSM: the first code of a frame along time, then the others.

transformers' `generate` stops at a frame whose codes are the end's on all rows but the last; so
does this. Its sampling is that of the original generator: temperature 0.9, the 50 likeliest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from fintts_inputs.errors import SpeechProblem
from fintts_trainer.synthesis.cache import KeyValueCache
from fintts_trainer.synthesis.frames import generate, plain, with_room
from fintts_trainer.synthesis.request import Sampling, Speech

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from fintts_inputs.base_model.csm.config import CsmConfigFile
    from fintts_trainer.families.csm.model import CsmDualAR
    from fintts_trainer.synthesis.frames import Choices
    from fintts_trainer.synthesis.request import SpeechRequest

SERVED = Sampling(temperature=0.9, top_k=50)


class CsmFrames:
    """A `FrameModel`; columns are frames of codes."""

    def __init__(self, model: CsmDualAR, end_code: int, sizes: tuple[int, ...], room: int) -> None:
        self._model, self._end_code = model, end_code
        self._cache, self._depth_cache = KeyValueCache(room), KeyValueCache(len(sizes) + 1)
        first, *self._sizes = sizes
        self._first = torch.arange(first, device=model.lm_head.weight.device)

    def next_column(self, columns: Tensor, choices: Choices) -> Tensor | None:
        """Reads the prompt or a frame, and chooses the next frame; None is the end."""
        model, cache = self._model, self._depth_cache
        if not choices.is_first:
            columns = columns.clone()
            columns[0] += model.text_vocab_size
        row = model.hidden(columns[None], self._cache.for_transformers)[:, -1]
        codes = [choices.draw(0, model.lm_head(row)[0], self._first)]
        cache.clear()
        ids = torch.stack([torch.zeros_like(codes[0]), codes[0]])[None]
        rows: Tensor | None = row
        for number, size in enumerate(self._sizes, 1):
            scores = model.next_code_scores(ids, cache.for_transformers, rows)[0, :size]
            codes.append(choices.draw(number, scores))
            ids, rows = codes[-1][None, None], None
        frame = torch.stack(codes)
        ends = bool((frame[:-1] == self._end_code).all()) and not choices.is_first
        return None if ends else frame


def speak(
    model: torch.nn.Module,
    config: CsmConfigFile,
    columns: npt.NDArray[np.int64],
    request: SpeechRequest,
    on_frame: Callable[[int], None],
) -> Speech:
    """Generates what follows the columns.

    Args:
        columns: everything before the frames, int64 [codebooks, T].

    Raises:
        SpeechProblem: the text is too long, or the request is about Fish Speech.
    """
    if request.as_fish:
        raise SpeechProblem(
            "the base model is CSM, and only Fish Speech has a repetition penalty of its own",
            "speak without --as-fish",
        )
    own = cast("CsmDualAR", plain(model))
    request = with_room(columns.shape[1], request, config.max_position_embeddings)
    room = columns.shape[1] + request.most_frames
    frames = CsmFrames(own, config.codebook_eos_token_id, request.codebook_sizes, room)
    start = torch.from_numpy(columns).to(own.lm_head.weight.device)
    sampling = SERVED.changed(request.sampling)
    made = generate(frames, start, request, sampling, on_frame)
    return Speech(made.columns.cpu().numpy(), made.ended, made.disallowed)
