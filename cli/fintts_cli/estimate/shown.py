"""An estimate as `fintts estimate` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cost.document import document

if TYPE_CHECKING:
    from decimal import Decimal

    from fintts_cli.estimate.gpus import RunOnGpu
    from fintts_cost.estimate import Estimate
    from fintts_cost.extras import Extras


@dataclass(frozen=True)
class Shown:
    """An estimate with its title and notes."""

    estimate: Estimate
    title: str
    notes: tuple[str, ...]
    budget_usd: Decimal | None
    gpus: str
    others: tuple[RunOnGpu, ...] = ()
    """the run on the other GPUs of the list"""
    extras: Extras | None = None
    """what it costs beside the GPU"""

    def document(self) -> dict[str, object]:
        """The document of --json."""
        others = [document(each.run.estimate) | {"gpus": each.gpus} for each in self.others]
        mine = document(self.estimate) | {"gpus": self.gpus}
        extras = {} if self.extras is None else self.extras.to_json(self.estimate)
        return {**mine, **extras, "notes": list(self.notes), "choices": [mine, *others]}
