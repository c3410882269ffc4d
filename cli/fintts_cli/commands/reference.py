"""The estimate of `fintts estimate --reference-run`: of a run that was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.estimate.shown import Shown
from fintts_cost.estimate.result import estimate
from fintts_cost.plan.candidate import Candidate
from fintts_cost.reference.notes import reference_notes
from fintts_cost.reference.run import REFERENCE_RUN, changed_reference_run

if TYPE_CHECKING:
    from decimal import Decimal


def reference_run_as_changed(changes: dict[str, object], budget_usd: Decimal | None) -> Shown:
    """The measured run, with the user's options in place of its own figures."""
    given = {name: value for name, value in changes.items() if value is not None}
    gpus = f"{REFERENCE_RUN.accelerator.name}:1" if REFERENCE_RUN.accelerator else ""
    made = Candidate(gpus, estimate(changed_reference_run(given)))
    if given:
        options = ", ".join(_option(name, value) for name, value in given.items())
        return Shown(made, f"The reference run, with {options}", (), budget_usd)
    title = "The reference run, as it was measured"
    return Shown(made, title, reference_notes(), budget_usd, is_reference=True)


def _option(name: str, value: object) -> str:
    typed = name.removesuffix("_usd").replace("_", "-")
    return f"--{typed} {value}"
