"""How high a loss is when nothing has been learnt: the level to hold a loss against."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fintts_cost.checks import require_count
from fintts_cost.errors import EstimateError


def uniform_guess(classes: int) -> float:
    """Cross-entropy in nats of a guess that gives every class the same probability: ln classes.

    Raises:
        EstimateError: there is no class to guess.
    """
    require_count(EstimateError, "the number of classes", classes)
    return math.log(classes)


@dataclass(frozen=True, slots=True)
class Head:
    """One output of the model, with a loss of its own."""

    name: str
    classes: int

    @property
    def uniform_guess(self) -> float:
        """Its loss in nats when it guesses."""
        return uniform_guess(self.classes)
