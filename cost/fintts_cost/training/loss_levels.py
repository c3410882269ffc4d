"""The loss of a model that has learnt nothing, to compare a loss with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fintts_cost.checks import require_count
from fintts_cost.errors import EstimateError


def uniform_guess(classes: int) -> float:
    """Cross-entropy in nats of a uniform guess over the classes: ln classes.

    Raises:
        EstimateError: there are no classes.
    """
    require_count(EstimateError, "the number of classes", classes)
    return math.log(classes)


@dataclass(frozen=True, slots=True)
class Head:
    """One output of the model, with its own loss."""

    name: str
    classes: int

    @property
    def uniform_guess(self) -> float:
        """The head's loss in nats for a uniform guess."""
        return uniform_guess(self.classes)
