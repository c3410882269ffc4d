"""What an estimate is made from: how much there is to train on, and the pace of earlier runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fintts_cost.interval import Interval

TYPICAL_TEXT_TOKENS = 100.0


TYPICAL_FRAMES = 300.0
"""of an utterance, assumed where there is no data to measure"""


@dataclass(frozen=True, slots=True)
class Workload:
    """How much there is to train on."""

    samples: int
    """utterances of the training split"""
    held_out: int
    text_tokens: float
    """mean of an utterance"""
    frames: float
    """mean of an utterance"""

    @property
    def tokens(self) -> float:
        """Positions of an utterance, which pass through all networks of the model."""
        return self.text_tokens + self.frames

    @classmethod
    def of_samples(cls, samples: int, fraction: float) -> Workload:
        """A workload of so many utterances of a typical length."""
        return cls(samples, round(samples * fraction), TYPICAL_TEXT_TOKENS, TYPICAL_FRAMES)


class RecordedWork(NamedTuple):
    """What recordings are once they are encoded, and how much speech has to be encoded for that."""

    workload: Workload
    speech_seconds: float


@dataclass(frozen=True, slots=True)
class MeasuredPace:
    """What earlier runs of this kind took, scaled to this one's work and GPU."""

    source: str
    """the runs, as the estimate names them"""
    seconds_per_step: Interval
    seconds_per_validation: float | None
    """None if no run made a check"""
    setup_seconds: float | None
    """None if interruptions hide it"""
