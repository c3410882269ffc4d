"""One deadline for a choice of GPUs: the time that money buys, and the money that a time needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cost.money import (
    affordable_seconds,
    cost_usd,
)
from fintts_cost.plan.reach import (
    generous_seconds,
    seconds_to,
    usable_seconds,
    with_last_save,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from fintts_cost.plan.candidate import Candidate
    from fintts_cost.plan.reserve import Reserve


def seconds_bought(
    choices: Sequence[Candidate], money: Decimal | None, reserve: Reserve
) -> Decimal:
    """Seconds from the request of the instance to the deadline, on any of the GPUs."""
    generous = longest_healthy(choices, money is not None)
    bought = None if money is None else affordable_seconds(money, dearest_usd(choices))
    return generous if bought is None else min(bought - reserve.total_seconds, generous)


def longest_healthy(choices: Sequence[Candidate], has_budget: bool) -> Decimal:
    """The most that a healthy run needs on any of the GPUs, and a margin."""
    return max(generous_seconds(each.estimate.given, has_budget=has_budget) for each in choices)


def dearest_usd(choices: Sequence[Candidate]) -> Decimal:
    """The maximum cost of an hour on any of the GPUs."""
    return max(each.ceiling_usd for each in choices)


def gains_a_step(choices: Sequence[Candidate], money: Decimal, reserve: Reserve) -> bool:
    """Whether each GPU finishes and saves a step in the time that the money buys."""
    seconds = seconds_bought(choices, money, reserve)
    return all(seconds_to(each.estimate.given, 1) <= usable_seconds(seconds) for each in choices)


def needed_usd(choices: Sequence[Candidate], reserve: Reserve) -> Decimal:
    """The budget that lets the expected run finish on any of the GPUs: the longest time at the
    dearest rate."""
    return cost_usd(longest_expected(choices, reserve), dearest_usd(choices))


def longest_expected(choices: Sequence[Candidate], reserve: Reserve) -> Decimal:
    """Seconds of the expected run on the slowest GPU, including all reserves."""
    given = ((each.estimate.given, each.estimate.expected.stop_step) for each in choices)
    training = max(seconds_to(each, step) for each, step in given)
    return with_last_save(training) + reserve.total_seconds
