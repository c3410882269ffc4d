"""An estimate as `fintts estimate` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cost.document import document

if TYPE_CHECKING:
    from decimal import Decimal

    from fintts_cost.candidate import Candidate
    from fintts_cost.estimate import Estimate
    from fintts_cost.extras import Extras


@dataclass(frozen=True)
class Shown:
    """An estimate with its title and notes."""

    candidate: Candidate
    title: str
    notes: tuple[str, ...]
    budget_usd: Decimal | None
    others: tuple[Candidate, ...] = ()
    """the run on the other GPUs of the list"""
    extras: Extras | None = None
    """what it costs beside the GPU"""

    @property
    def estimate(self) -> Estimate:
        """The bill."""
        return self.candidate.estimate

    def document(self) -> dict[str, object]:
        """The document of --json."""
        mine, *others = [_choice(each) for each in (self.candidate, *self.others)]
        extras = {} if self.extras is None else self.extras.to_json(self.estimate)
        return {**mine, **extras, "notes": list(self.notes), "choices": [mine, *others]}


def _choice(candidate: Candidate) -> dict[str, object]:
    """The run on one GPU; `at_most` is a run of all steps at the slow end of its forecast."""
    given = candidate.estimate.given
    most = given.at_slow_end.bill(given.max_steps)
    return {
        **document(candidate.estimate),
        "gpus": candidate.gpus,
        "cloud": candidate.price.cloud,
        "micro_batches": given.micro_batches,
        "at_most": {
            "total_seconds": float(most.total_seconds),
            "cost_usd": float(most.cost_usd_to_cent),
        },
    }
