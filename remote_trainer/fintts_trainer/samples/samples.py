"""A run's samples: who has spoken what, into the store and into TensorBoard, and its measures."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fintts_store.errors import StoreError
from fintts_store.layout import samples_prefix
from fintts_store.runs.samples import BASE, ORIGINAL, RECORD, Sample, SampleSet, read_samples
from fintts_trainer.samples.limits import Interrupted, OutOfTime
from fintts_trainer.samples.sentences import Spoken
from fintts_trainer.samples.speaker import speaking
from fintts_trainer.synthesis.wav import wav_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from peft import PeftModel

    from fintts_store.runs.samples import Speaker
    from fintts_store.store import Store
    from fintts_trainer.codecs.base import Wave
    from fintts_trainer.samples.limits import Limits
    from fintts_trainer.samples.outbox import Outbox
    from fintts_trainer.samples.speaker import SampleSpeaker
    from fintts_trainer.scoring.scorer import Scorer, Scores


@dataclass
class Samples:
    """What this job speaks.

    Attributes:
        show: adds a sample to TensorBoard: tag, samples, step and rate.
        is_compiled: whether torch compiles the model's layers.
        scorer: measures what is spoken; None if nothing does.
        missing: samples that could not be spoken.
        trouble: why the last one that is missing, since the last check, could not be spoken.
        seconds: of the last three times that it spoke.
    """

    speaker: SampleSpeaker
    sentences: SampleSet
    outbox: Outbox
    log: Callable[[str], None]
    show: Callable[[str, Wave, int, int], None]
    is_compiled: bool = False
    scorer: Scorer | None = None
    missing: int = 0
    trouble: str | None = None
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

    def begin(
        self, store: Store, model: PeftModel, limits: Limits, *, is_measured: bool = False
    ) -> Scores | None:
        """Writes which sentences these are; lets recordings and base model speak what no earlier
        job has, and measures them unless one has.

        Returns:
            The measures of the base model, and those of the recordings with `recordings_` before
            their names; None if the run must end first.
        """
        there = self._there(store)
        key = samples_prefix(self.sentences.run, self.sentences.claim) + RECORD
        self.outbox.put(key, self.sentences.dump().encode())
        if self.scorer is not None and not is_measured:
            there = set()  # they are measured together
        every = list(enumerate(self.speaker.sentences))
        recorded = [number for number, one in every if one.recording is not None]
        originals = self.speak_each(
            ORIGINAL,
            lambda number: self.speaker.original(number, limits),
            [number for number in recorded if (ORIGINAL, number + 1) not in there],
        )
        # An earlier job may have been killed between two sentences.
        left = [number for number, _ in every if (BASE, number + 1) not in there]
        if not left:
            return {}
        with self._timed(), self._speaking(model), model.disable_adapter():
            spoken = self.speak_each(
                BASE, lambda number: self.speaker.speak(model, number, limits), left
            )
            found = {} if is_measured else self._measured(spoken, len(every), limits)
        of_recordings = {} if is_measured else self._measured(originals, len(recorded), limits)
        if found is None or of_recordings is None:
            return None
        return found | self._of_recordings(of_recordings)

    def at_step(self, model: PeftModel, step: int, limits: Limits) -> Scores | None:
        """Lets the adapter of this step speak, and measures it.

        Returns:
            The measures that have a value; None if the run must end first.
        """
        self.trouble = None
        with self._timed():
            with self._speaking(model):
                spoken = self.speak_each(
                    step, lambda number: self.speaker.speak(model, number, limits)
                )
            return self._measured(spoken, len(self.speaker.sentences), limits)

    def _there(self, store: Store) -> set[tuple[Speaker, int]]:
        """What an earlier job has spoken of the same sentences."""
        try:
            earlier = read_samples(store, self.sentences.run)
        except StoreError as error:
            self._explain(f"the earlier ones cannot be read: {error.message}")
            return set()
        is_same = earlier is not None and earlier.sentences.is_as(self.sentences)
        return set(earlier.files) if earlier is not None and is_same else set()

    def _measured(
        self, spoken: Sequence[Spoken] | None, wanted: int, limits: Limits
    ) -> Scores | None:
        """The measures of all these sentences; none if one is missing, since the others alone would
        not compare with earlier checks. None if the run must end."""
        if self.scorer is None or not wanted:
            return {}
        if spoken is None or len(spoken) < wanted:
            return None if spoken is None or limits.by_deadline else {}
        found: Scores = {}
        try:
            found.update(self.scorer.scores(spoken, limits.check))
        except Interrupted:
            return None
        except OutOfTime as limit:
            self._explain(f"speaking and measuring do not fit into {limit}")
            return None if limits.by_deadline else found
        return found

    def _of_recordings(self, found: Scores) -> Scores:
        """The measures of the recordings; for the voice, how similar they are to each other."""
        voice = None if self.scorer is None else self.scorer.voice
        others = {name: value for name, value in found.items() if name != "similarity"}
        if voice is not None and voice.ceiling is not None:
            others["similarity"] = voice.ceiling
        return {f"recordings_{name}": value for name, value in others.items()}

    def _speaking(self, model: PeftModel) -> AbstractContextManager[None]:
        return speaking(model, is_compiled=self.is_compiled)

    @contextmanager
    def _timed(self) -> Generator[None]:
        begun = time.monotonic()
        yield
        self.seconds.append(time.monotonic() - begun)

    def speak_each(
        self,
        who: Speaker,
        speak: Callable[[int], Wave],
        numbers: Sequence[int] | None = None,
    ) -> list[Spoken] | None:
        """Each sentence; those after one that ran out of time are missing, too.

        Returns:
            What was spoken; None if the run must end.
        """
        wanted = range(len(self.speaker.sentences)) if numbers is None else numbers
        spoken: list[Spoken] = []
        step = who if isinstance(who, int) else 0
        for place, number in enumerate(wanted):
            try:
                wave = speak(number)
                self._keep(who, number, step, wave)
                spoken.append(Spoken(self.speaker.sentences[number].text, wave))
            except Interrupted:
                return None
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
        return spoken

    def _keep(self, who: Speaker, number: int, step: int, wave: Wave) -> None:
        rate = self.speaker.codec.shape.sample_rate
        sample = Sample(self.sentences.claim, who, number + 1)
        self.outbox.put(sample.key(self.sentences.run), wav_of(wave, rate))
        title = who if isinstance(who, str) else "adapter"
        self.show(f"samples/{title}-{number + 1}", wave, step, rate)

    def why_missing(self, name: str) -> str:
        """Why a measure had no value at the last check."""
        measured = None if self.scorer is None else self.scorer.troubles.get(name)
        return measured or self.trouble or "nothing was spoken"

    def _explain(self, why: str) -> None:
        self.trouble = why
        if not self._is_explained:
            self._is_explained = True
            self.log(f"some samples are missing, and training goes on: {why}")
