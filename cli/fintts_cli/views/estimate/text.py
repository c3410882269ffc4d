"""An estimate as text: a summary, or all sections, which explain it with the run's own numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.estimate.bill import (
    cost_lines,
    early_stopping_lines,
    extras_lines,
    time_lines,
)
from fintts_cli.views.estimate.checkpoints import checkpoint_lines
from fintts_cli.views.estimate.headline import headline
from fintts_cli.views.estimate.layout import bullet, heading, indented
from fintts_cli.views.estimate.losses import loss_lines
from fintts_cli.views.estimate.memory import memory_lines
from fintts_cli.views.estimate.reference import reference_sections
from fintts_cli.views.estimate.steps import batch_size_lines, epochs_lines
from fintts_cli.views.estimate.summary import summary_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from decimal import Decimal

    from fintts_cost.estimate.extras import Extras
    from fintts_cost.estimate.result import Estimate
    from fintts_cost.plan.candidate import Candidate
    from fintts_cost.plan.launch import LaunchPlan

MOST_CHOICES = 10
"""lines of the table of GPUs in a summary"""
MORE = "`--explain` shows how each figure is calculated"

SECTIONS: tuple[tuple[str, Callable[[Estimate], Iterator[str]]], ...] = (
    ("Steps and epochs", epochs_lines),
    ("Time", time_lines),
    ("Cost", cost_lines),
    ("Early stopping", early_stopping_lines),
    ("Checkpoints", checkpoint_lines),
    ("Batch sizes", batch_size_lines),
    ("GPU memory", memory_lines),
    ("Loss", loss_lines),
)


def estimate_text(
    candidate: Candidate,
    *,
    title: str,
    notes: Sequence[str] = (),
    budget_usd: Decimal | None = None,
    extras: Extras | None = None,
    choices: Sequence[str] = (),
    plan: LaunchPlan | None = None,
    other_kind: Candidate | None = None,
    now: datetime | None = None,
    is_reference: bool = False,
    explain: bool = False,
) -> str:
    """The text of `fintts estimate`: at most 78 columns, no colour, no trailing line end.

    Args:
        title: the first line; names what is estimated.
        notes: further remarks of one or two sentences each; they are wrapped.
        extras: the run's costs besides its GPU.
        choices: the lines of the table of GPUs, if there are several.
        plan: of a launch now.
        other_kind: the same run on spot instead of on demand, or the reverse.
        is_reference: whether this is the measured run, which has tables of its own.
        explain: all sections instead of the summary.
    """
    last = headline(candidate, budget_usd=budget_usd, plan=plan, now=now)
    body = summary_lines(candidate, other_kind, budget_usd=budget_usd, extras=extras)
    if not explain:
        told = [line for note in notes for line in bullet(note)]
        listed = ["", *indented(_short(choices))] if choices else []
        return "\n".join([title, *indented(body), *listed, *told, f"  {MORE}", "", *last])
    lines = [title, *indented(body)]
    lines += [*heading("GPUs, the cheapest run first"), *indented(choices)] if choices else []
    sections = [(name, list(section(candidate.estimate))) for name, section in SECTIONS]
    sections += reference_sections() if is_reference else []
    for name, section in sections:
        lines += [*heading(name), *indented(section)] if section else []
    if extras is not None and extras.items:
        lines += [*heading("Costs besides the GPU"), *extras_lines(candidate.estimate, extras)]
    if notes:
        lines += [*heading("Notes"), *(line for note in notes for line in bullet(note))]
    return "\n".join([*lines, "", *last])


def _short(choices: Sequence[str]) -> list[str]:
    """The table without its dearest rows, if it is long."""
    table = choices[: choices.index("")] if "" in choices else choices
    left = len(table) - 1 - MOST_CHOICES
    if left < 1:
        return list(choices)
    return [*table[: MOST_CHOICES + 1], f"… and {left} more", *choices[len(table) :]]
