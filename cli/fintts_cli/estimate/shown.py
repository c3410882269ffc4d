"""An estimate as `fintts estimate` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cost.estimate.document import document

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from fintts_cost.estimate.extras import Extras
    from fintts_cost.estimate.result import Estimate
    from fintts_cost.plan.candidate import Candidate
    from fintts_cost.plan.launch import LaunchPlan


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
    plan: LaunchPlan | None = None
    """of a launch now; None if the budget does not allow one"""
    now: datetime | None = None
    other_kind: Candidate | None = None
    """the same run on spot instead of on demand, or the reverse"""
    is_reference: bool = False
    """whether this is the measured run, unchanged"""

    @property
    def estimate(self) -> Estimate:
        """The bill."""
        return self.candidate.estimate

    def document(self) -> dict[str, object]:
        """The document of --json."""
        mine, *others = [_choice(each) for each in (self.candidate, *self.others)]
        extras = {} if self.extras is None else self.extras.to_json(self.estimate)
        return {
            **mine,
            **extras,
            "budget": self._budget(),
            "other_kind": None if self.other_kind is None else _expected(self.other_kind),
            "notes": list(self.notes),
            "choices": [mine, *others],
        }

    def _budget(self) -> dict[str, object] | None:
        """What the budget leaves, and when it ends the run at the latest."""
        if self.budget_usd is None:
            return None
        usd, likely = float(self.budget_usd), self.candidate.outlook.usd.likely
        seconds = None if self.plan is None else float(self.plan.run_seconds)
        return {
            "usd": usd,
            "share": likely / usd if usd else None,
            "fits": likely <= usd,
            "deadline_seconds": seconds,
        }


def _expected(candidate: Candidate) -> dict[str, object]:
    return {"spot": candidate.spot, "expected": candidate.outlook.to_json()}


def _choice(candidate: Candidate) -> dict[str, object]:
    """The run on one GPU. `expected` is its range, with what preemptions add; `at_most` is a run of
    all steps at the slow end of its forecast."""
    given = candidate.estimate.given
    most = given.at_slow_end.bill(given.max_steps)
    pace, tokens = given.pace, given.tokens_per_step
    return {
        **document(candidate.estimate),
        "gpus": candidate.gpus,
        "cloud": candidate.price.cloud,
        "micro_batches": given.micro_batches,
        "pace": {
            "kind": given.pace_kind,
            "source": given.seconds_per_step_source,
            "seconds_per_step": pace.to_json(),
            "seconds_per_token": pace.times(1 / tokens).to_json() if tokens else None,
        },
        **_expected(candidate),
        "at_most": {
            "total_seconds": float(most.total_seconds),
            "cost_usd": float(most.cost_usd_to_cent),
        },
    }
