"""The run on each GPU that it may get, as a table to decide from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.units import rough_dollars, significant, table
from fintts_cost.money import NOTHING, SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from fintts_cost.plan.candidate import Candidate

COLUMNS = ("GPU", "where", "a batch", "$/h", "hours", "cost")
LEFT = 3
MEANING = (
    "hours, cost: likely – at most, with what preemptions add on spot",
    "a batch: whole, or the number of micro-batches, from sizes alone",
)


def choices_table(candidates: Sequence[Candidate], budget_usd: Decimal | None) -> list[str]:
    """At most 76 columns; no lines for a single GPU.

    Args:
        candidates: the cheapest run first.
        budget_usd: what costs more is marked with `!`.
    """
    if len(candidates) < 2:
        return []
    rows = [_row(each, budget_usd) for each in candidates]
    over = any("!" in row[-1] for row in rows)
    return [
        *table(COLUMNS, rows, left=LEFT).splitlines(),
        "",
        *MEANING,
        *(["!: more than the budget"] if over else []),
    ]


def _row(each: Candidate, budget_usd: Decimal | None) -> tuple[str, ...]:
    given, outlook = each.estimate.given, each.outlook
    hours, usd = outlook.seconds.times(1 / SECONDS_PER_HOUR), outlook.usd
    is_over = budget_usd is not None and each.cost_usd > budget_usd
    return (
        each.gpus,
        each.price.cloud or NOTHING,
        _parts(given.micro_batches),
        f"{each.hourly_rate_usd:.2f}",
        f"{significant(hours.likely)} – {significant(hours.high):>4}",
        f"{'! ' if is_over else ''}{rough_dollars(usd.likely)} – {rough_dollars(usd.high):>5}",
    )


def _parts(micro_batches: int | None) -> str:
    """How a batch fits in memory."""
    if micro_batches is None:
        return "too large"
    return "whole" if micro_batches == 1 else f"in {micro_batches}"
