"""What an estimate is made from: how much there is to train on, and how fast it went before."""

from __future__ import annotations

from dataclasses import dataclass

TYPICAL_TEXT_TOKENS = 100.0


TYPICAL_FRAMES = 300.0
"""of an utterance, where there are none to look at"""


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
        """So many utterances to train on, of a usual length."""
        return cls(samples, round(samples * fraction), TYPICAL_TEXT_TOKENS, TYPICAL_FRAMES)


@dataclass(frozen=True, slots=True)
class MeasuredPace:
    """What the same model, batch and accelerator took before."""

    source: str
    """which run says so, as the estimate shows it"""
    seconds_per_step: float
    seconds_per_validation: float | None
    """None where no check was made"""
    setup_seconds: float | None
    """None where an interruption hides it"""
