"""What an estimate is made from: how much there is to train on, and the pace of earlier runs."""

from __future__ import annotations

from dataclasses import dataclass

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

    @classmethod
    def of_samples(cls, samples: int, fraction: float) -> Workload:
        """A workload of so many utterances of a typical length."""
        return cls(samples, round(samples * fraction), TYPICAL_TEXT_TOKENS, TYPICAL_FRAMES)


@dataclass(frozen=True, slots=True)
class MeasuredPace:
    """What an earlier run with the same model, batch and accelerator took."""

    source: str
    """the run that measured it, as the estimate names it"""
    seconds_per_step: float
    seconds_per_validation: float | None
    """None if the run made no check"""
    setup_seconds: float | None
    """None if an interruption hides it"""
