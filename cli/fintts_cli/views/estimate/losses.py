"""The loss of a model that has learnt nothing, to compare a run's losses with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.units import columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_cost.estimate.result import Estimate


def loss_lines(estimate: Estimate) -> Iterator[str]:
    """Each head's loss for a uniform guess, and their sum, which is the run's loss."""
    heads = estimate.given.heads
    if not heads:
        return
    yield "a uniform guess has the loss ln(classes): compare each head with its own"
    yield ""
    rows = [(head.name, f"{head.classes:,}", f"{head.uniform_guess:.3f}") for head in heads]
    yield from columns(("head", "classes", "uniform guess"), rows, "lrr")
    if len(heads) > 1:
        parts = " + ".join(f"{head.uniform_guess:.3f}" for head in heads)
        total = sum(head.uniform_guess for head in heads)
        yield f"the loss of a run is their sum; a uniform guess has {parts} = {total:.2f}"
