"""A run's samples: who has spoken what, into the store and into TensorBoard."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fintts_store.errors import StoreError
from fintts_store.layout import samples_prefix
from fintts_store.runs.samples import BASE, ORIGINAL, RECORD, Sample, SampleSet, read_samples
from fintts_trainer.samples.speaker import Interrupted, Limits, OutOfTime, speaking
from fintts_trainer.synthesis.wav import wav_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from peft import PeftModel

    from fintts_store.runs.samples import Speaker
    from fintts_store.store import Store
    from fintts_trainer.codecs.base import Wave
    from fintts_trainer.samples.outbox import Outbox
    from fintts_trainer.samples.speaker import SampleSpeaker


@dataclass
class Samples:
    """What this job speaks.

    Attributes:
        show: adds a sample to TensorBoard: tag, samples, step and rate.
        is_compiled: whether torch compiles the model's layers.
        missing: samples that could not be spoken.
        seconds: of the last three times that it spoke.
    """

    speaker: SampleSpeaker
    sentences: SampleSet
    outbox: Outbox
    log: Callable[[str], None]
    show: Callable[[str, Wave, int, int], None]
    is_compiled: bool = False
    missing: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=3))
    _is_explained: bool = False

    @property
    def lost(self) -> int:
        """Samples that could not be spoken, or did not reach the store."""
        return self.missing + self.outbox.lost

    @property
    def seconds_per_check(self) -> float:
        """The share of a check in what speaking took."""
        return max(self.seconds, default=0.0) / self.speaker.config.every

    def begin(self, store: Store, model: PeftModel, limits: Limits) -> None:
        """Writes which sentences these are; lets recordings and base model speak what no earlier
        job has."""
        try:
            earlier = read_samples(store, self.sentences.run)
        except StoreError as error:
            self._explain(f"the earlier ones cannot be read: {error.message}")
            earlier = None
        key = samples_prefix(self.sentences.run, self.sentences.claim) + RECORD
        self.outbox.put(key, self.sentences.dump().encode())
        is_same = earlier is not None and earlier.sentences.is_as(self.sentences)
        there = set(earlier.files) if earlier is not None and is_same else set()
        every = list(enumerate(self.speaker.sentences))
        recorded = [
            number
            for number, one in every
            if one.recording is not None and (ORIGINAL, number + 1) not in there
        ]
        self.speak_each(ORIGINAL, lambda number: self.speaker.original(number, limits), recorded)
        # An earlier job may have been killed between two sentences.
        left = [number for number, _ in every if (BASE, number + 1) not in there]
        with self._speaking(model), model.disable_adapter():
            self.speak_each(BASE, lambda number: self.speaker.speak(model, number, limits), left)

    def at_step(self, model: PeftModel, step: int, limits: Limits) -> None:
        """Lets the adapter of this step speak."""
        with self._speaking(model):
            self.speak_each(step, lambda number: self.speaker.speak(model, number, limits))

    def _speaking(self, model: PeftModel) -> AbstractContextManager[None]:
        return speaking(model, is_compiled=self.is_compiled)

    def speak_each(
        self,
        who: Speaker,
        speak: Callable[[int], Wave],
        numbers: Sequence[int] | None = None,
    ) -> None:
        """Each sentence; those after one that ran out of time are missing, too."""
        wanted = range(len(self.speaker.sentences)) if numbers is None else numbers
        if not wanted:
            return
        begun, step = time.monotonic(), who if isinstance(who, int) else 0
        for place, number in enumerate(wanted):
            try:
                self._keep(who, number, step, speak(number))
            except Interrupted:
                break
            except OutOfTime as limit:
                left = len(wanted) - place
                self.missing += left
                self._explain(
                    f"at step {step}, {left} of {len(wanted)} sentences do not fit into {limit}"
                )
                break
            except Exception as error:  # the run matters, a sample does not
                self.missing += 1
                self._explain(getattr(error, "message", None) or repr(error))
        self.seconds.append(time.monotonic() - begun)

    def _keep(self, who: Speaker, number: int, step: int, wave: Wave) -> None:
        rate = self.speaker.codec.shape.sample_rate
        sample = Sample(self.sentences.claim, who, number + 1)
        self.outbox.put(sample.key(self.sentences.run), wav_of(wave, rate))
        title = who if isinstance(who, str) else "adapter"
        self.show(f"samples/{title}-{number + 1}", wave, step, rate)

    def _explain(self, why: str) -> None:
        if not self._is_explained:
            self._is_explained = True
            self.log(f"some samples are missing, and training goes on: {why}")
