"""Measures sentences that were spoken, each measure with a model of its own.

A measure that fails has no value; the others and the run go on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import jiwer
import numpy as np
import soxr

from fintts_inputs.text.normalise import normalised
from fintts_trainer.samples.limits import Interrupted, OutOfTime
from fintts_trainer.samples.sentences import Spoken
from fintts_trainer.scoring.asr import RATE
from fintts_trainer.scoring.speaker import voice_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from fintts_inputs.config import Monitor
    from fintts_trainer.codecs.base import Wave
    from fintts_trainer.scoring.asr import Recogniser
    from fintts_trainer.scoring.dnsmos import Dnsmos
    from fintts_trainer.scoring.speaker import SpeakerEncoder

    Look = Callable[[], None]
    Scores = dict[str, float]

LONGEST_SHOWN = 120
"""characters of a text in the log"""


class Voice(NamedTuple):
    """The voice of the recordings.

    Attributes:
        direction: [256], of length 1.
        ceiling: the similarity of one half of the recordings to the other; None with fewer than
            two.
    """

    direction: Tensor
    ceiling: float | None


@dataclass(frozen=True)
class Scorer:
    """The measures that have a model; `voice` belongs to the encoder.

    Attributes:
        rate: of what is spoken.
        language: of the texts, as Whisper names it.
    """

    rate: int
    language: str
    log: Callable[[str], None]
    recogniser: Recogniser | None = None
    encoder: SpeakerEncoder | None = None
    voice: Voice | None = None
    dnsmos: Dnsmos | None = None
    troubles: dict[str, str] = field(default_factory=dict[str, str])
    """measure → why it had no value the last time"""
    _explained: set[str] = field(default_factory=set[str])

    def scores(self, spoken: Sequence[Spoken], look: Look) -> Iterator[tuple[str, float]]:
        """Every measure of these sentences together that has a value, one after the other.

        Args:
            look: called between parts; what it raises ends the measuring.

        Raises:
            OutOfTime, Interrupted: from `look`.
        """
        heard = [Spoken(one.text, at_rate_of_models(one.wave, self.rate)) for one in spoken]
        measures = {"cer": self._cer, "similarity": self._similarity, "dnsmos": self._dnsmos}
        for name, measure in measures.items():
            look()
            self.troubles.pop(name, None)
            try:
                value = measure(heard, look)
            except (OutOfTime, Interrupted):
                raise
            except Exception as error:  # the run matters, a measure does not
                self._explain(name, error)
                continue
            if value is not None and math.isfinite(value):
                yield name, value
            else:
                self.troubles[name] = "what was spoken has no sound"

    def obstacle(self, monitor: Monitor, texts: Sequence[str]) -> str | None:
        """Why a measure that has its model could never have a value; None if it could."""
        if monitor == "eval/similarity" and self.voice is None:
            return "the held-out recordings have no sound to compare with"
        if monitor == "eval/cer" and not any(normalised(one, self.language) for one in texts):
            return "no sentence has a letter to hear"
        return None

    def _cer(self, spoken: Sequence[Spoken], look: Look) -> float | None:
        """Edits of all sentences over their characters: the character error rate, pooled."""
        if self.recogniser is None:
            return None
        pairs = [
            (normalised(one.text, self.language), self.recogniser.heard(one.wave, look))
            for one in spoken
        ]
        compared = [(said, normalised(heard, self.language)) for said, heard in pairs if said]
        if not compared:
            return None
        said, heard = max(compared, key=lambda pair: jiwer.cer(*pair))
        if said != heard:
            self.log(f"heard “{heard[:LONGEST_SHOWN]}” for “{said[:LONGEST_SHOWN]}”")
        return float(jiwer.cer([one for one, _ in compared], [one for _, one in compared]))

    def _similarity(self, spoken: Sequence[Spoken], _look: Look) -> float | None:
        """The cosine between the voices of these sentences and of the recordings."""
        if self.encoder is None or self.voice is None:
            return None
        direction = voice_of(self.encoder, [one.wave for one in spoken])
        return None if direction is None else float(direction @ self.voice.direction)

    def _dnsmos(self, spoken: Sequence[Spoken], look: Look) -> float | None:
        """The mean of all sentences; None if one has no sound."""
        if self.dnsmos is None:
            return None
        values: list[float] = []
        for one in spoken:
            look()
            value = self.dnsmos.overall(one.wave)
            if value is None:
                return None
            values.append(value)
        return float(np.mean(values)) if values else None

    def _explain(self, name: str, error: Exception) -> None:
        is_new, why = name not in self._explained, getattr(error, "message", None) or repr(error)
        self.troubles[name] = why
        self._explained.add(name)
        if is_new:
            self.log(f"eval/{name} has no value here, and training goes on: {why}")


def at_rate_of_models(wave: Wave, rate: int) -> Wave:
    """Resampled to 16 kHz, which all models here hear."""
    if rate == RATE or not len(wave):
        return wave
    return np.asarray(soxr.resample(wave, rate, RATE, quality="VHQ"), np.float32)


def voice_in(encoder: SpeakerEncoder, recordings: Sequence[Wave], rate: int) -> Voice | None:
    """The voice of recordings at this rate; None without any sound."""
    waves = [at_rate_of_models(wave, rate) for wave in recordings]
    direction = voice_of(encoder, waves)
    if direction is None:
        return None
    halves = [voice_of(encoder, waves[start::2]) for start in (0, 1)]
    one, other = halves
    ceiling = None if one is None or other is None else float(one @ other)
    return Voice(direction, ceiling)
