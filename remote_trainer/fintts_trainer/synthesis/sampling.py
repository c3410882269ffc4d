"""Draws choices from scores by the rules of Fish Speech's serving code.

Order: repetition penalty, top-p before the temperature, top-k, temperature, softmax. Source:
fish_speech/models/text2semantic/inference.py at d3df505, Apache-2.0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from fintts_trainer.synthesis.request import Sampling

LEAST_TEMPERATURE = 1e-5


def penalised(scores: Tensor, recent: Tensor | None, penalty: float) -> Tensor:
    """Scores [classes] with those of the classes in `recent` lowered, each once."""
    if recent is None:
        return scores
    own = scores[recent]
    lowered = torch.where(own < 0, own * penalty, own / penalty)
    return scores.scatter(0, recent, lowered)


def probabilities(scores: Tensor, sampling: Sampling) -> Tensor:
    """[classes], from scores that are penalised already."""
    kept = _most_likely(_nucleus(scores, sampling.top_p), sampling.top_k)
    return (kept / max(sampling.temperature, LEAST_TEMPERATURE)).softmax(-1)


def _nucleus(scores: Tensor, top_p: float) -> Tensor:
    """Removes each class whose cumulative probability, its own included, exceeds `top_p`; the
    likeliest one stays."""
    if top_p >= 1.0:
        return scores
    ordered, order = scores.sort(descending=True)
    removed = ordered.softmax(-1).cumsum(-1) > top_p
    removed[0] = False
    return scores.masked_fill(torch.empty_like(removed).scatter(0, order, removed), -math.inf)


def _most_likely(scores: Tensor, top_k: int | None) -> Tensor:
    if top_k is None or top_k >= len(scores):
        return scores
    return scores.masked_fill(scores < scores.topk(top_k).values[-1], -math.inf)


class Sampler:
    """Draws with a generator of its own, so that nothing else in the process draws differently."""

    def __init__(self, sampling: Sampling, seed: int, device: torch.device) -> None:
        self._sampling = sampling
        self._generator = torch.Generator(device)
        self._generator.manual_seed(seed)

    def draw(self, scores: Tensor) -> Tensor:
        """The index of one class, from scores [classes] that are penalised already."""
        if self._sampling.temperature == 0:
            return scores.argmax()
        found = probabilities(scores, self._sampling)
        noise = torch.empty_like(found).exponential_(1, generator=self._generator)
        return (found / noise).argmax()
