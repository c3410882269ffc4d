"""Speaks a run's sentences within a time limit; whatever goes wrong stays in here.

It has a random generator of its own and no gradients, so training goes on as if nothing had been
spoken.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fintts_inputs.speech.sampling import SamplingOptions
from fintts_trainer.synthesis.request import SpeechRequest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from torch import nn

    from fintts_inputs.config import SamplesConfig
    from fintts_trainer.codecs.base import Codec, Wave
    from fintts_trainer.families.base import BaseModel
    from fintts_trainer.samples.limits import Limits
    from fintts_trainer.samples.sentences import Sentence


@dataclass(frozen=True)
class SampleSpeaker:
    """A model's sentences as waves."""

    base: BaseModel
    codec: Codec
    sentences: Sequence[Sentence]
    config: SamplesConfig

    def speak(self, model: nn.Module, number: int, limits: Limits) -> Wave:
        """One sentence, the first being 0, as float32 [samples].

        Args:
            model: not in training mode.

        Raises:
            OutOfTime, Interrupted: as `limits` say.
            SpeechProblem: the text is too long.
        """
        limits.check()
        shape = self.codec.shape
        frames = max(1, round(self.config.max_seconds * shape.frames_per_second))
        request = SpeechRequest(
            text=self.sentences[number].text,
            codebook_sizes=shape.codebook_sizes,
            most_frames=min(frames, shape.most_frames or frames),
            sampling=SamplingOptions(),
            seed=self.config.seed,
        )
        speech = self.base.synthesise(model, request, limits.check)
        limits.check()
        return self.codec.decode(speech.codes)

    def original(self, number: int, limits: Limits) -> Wave:
        """The recording of a sentence that has one, by the codec.

        Raises:
            OutOfTime, Interrupted: as `limits` say.
            CodecProblem: the codes are not this codec's.
        """
        limits.check()
        codes = self.sentences[number].recording
        assert codes is not None
        return self.codec.decode(codes)


@contextmanager
def speaking(model: nn.Module, *, is_compiled: bool) -> Generator[None]:
    """The model as it speaks: without dropout, and without compiling anything for single frames."""
    was_training = model.training
    model.eval()
    try:
        with torch.compiler.set_stance("force_eager") if is_compiled else nullcontext():
            yield
    finally:
        model.train(was_training)
