"""What a launch will cost and when it ends at the latest: pure, so that it can be shown first.

A run may be given several GPUs to choose from. All of them share one deadline, since whoever
rents cannot know beforehand which of them there will be: with a budget it is the one that the
dearest of them buys. A GPU that would cut the run short on the others, or be cut short by them, is
left out, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.errors import OverBudget
from fintts_cost.money import SECONDS_PER_HOUR, affordable_seconds, cost_usd, dollars, hourly

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from fintts_cost.bill import Estimate
    from fintts_cost.estimate_json import JsonValue
    from fintts_cost.money import Price

SPARE_SHARE = Decimal("1.5")
SPARE_SECONDS = Decimal(600)
"""Without a budget a run gets half as long again as in the worst case, and ten minutes."""


class Choice(NamedTuple):
    """The run on a GPU that it may get."""

    gpus: str
    """as `--gpus` has one of them"""
    estimate: Estimate
    cut_at_step: int | None = None
    """where the deadline ends a run that does not stop sooner; None where it comes to its end"""

    @property
    def price(self) -> Price:
        """What an hour of the instance costs, and who says so."""
        return self.estimate.expected.price

    @property
    def hourly_rate_usd(self) -> Decimal:
        """What an hour of the instance costs."""
        return self.price.hourly_rate_usd


@dataclass(frozen=True, slots=True)
class Terms:
    """Where and within which limits a run goes: what run.json says beside its configuration."""

    infra: str
    choices: Sequence[RentalTerms]
    spot: bool
    budget_usd: Decimal | None
    deadline_at: datetime


class RentalTerms(NamedTuple):
    """A GPU, what it costs, and what the run would on it."""

    gpus: str
    price: Price
    estimate: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """A run that may be launched: its bill in three scenarios, and its deadline."""

    choices: tuple[Choice, ...]
    """one or several; the one on which the run is expected to cost least comes first"""
    budget_usd: Decimal | None
    deadline_at: datetime
    """when the trainer must have ended; tearing down comes after it and is within the budget"""
    left_out: tuple[str, ...] = ()
    """a sentence for each GPU that was asked for and is no choice"""

    @property
    def first(self) -> Choice:
        """What is asked for first."""
        return self.choices[0]

    @property
    def estimate(self) -> Estimate:
        """On the GPU that is asked for first."""
        return self.first.estimate

    @property
    def terms(self) -> tuple[RentalTerms, ...]:
        """What run.json keeps of each choice."""
        return tuple(
            RentalTerms(each.gpus, each.price, each.estimate.to_json()) for each in self.choices
        )

    @property
    def deadline_sentence(self) -> str:
        """Where the deadline comes from."""
        if self.budget_usd is None:
            return "half as long again as the worst case, and ten minutes; --budget sets another"
        dearest = "" if len(self.choices) == 1 else ", on the dearest of them,"
        return f"the budget of {dollars(self.budget_usd)} lasts{dearest} until then"

    @property
    def warnings(self) -> list[str]:
        """What the user should know before saying yes."""
        cut = [each for each in self.choices if each.cut_at_step is not None]
        return [*self.left_out, *(self._cut_sentence(each) for each in cut)]

    def _cut_sentence(self, choice: Choice) -> str:
        worst = choice.estimate.worst
        where = f" on {choice.gpus}" if len(self.choices) > 1 else ""
        return (
            f"a run to step {worst.stop_step}{where} would cost {dollars(worst.cost_usd)}: the "
            f"deadline ends it at about step {choice.cut_at_step}"
        )


def plan_launch(choices: Sequence[Choice], budget_usd: Decimal | None, now: datetime) -> LaunchPlan:
    """The deadline that the budget buys, seen from now.

    Raises:
        OverBudget: on every one of them the expected run costs more than the budget.
    """
    by_cost = sorted(choices, key=lambda choice: choice.estimate.cost_usd)
    left_out: list[str] = []
    if budget_usd is not None:
        refuse_over_budget(by_cost[0].estimate, budget_usd)
        by_cost, left_out = _within(by_cost, budget_usd)
    allowed = _allowed_seconds(by_cost, budget_usd)
    cut = tuple(each._replace(cut_at_step=_cut_at_step(each.estimate, allowed)) for each in by_cost)
    return LaunchPlan(cut, budget_usd, _deadline(cut, allowed, now), tuple(left_out))


def _within(by_cost: Sequence[Choice], budget_usd: Decimal) -> tuple[list[Choice], list[str]]:
    """Those that can share a deadline, the cheapest run among them, and why the others cannot."""
    taken: list[Choice] = []
    left_out: list[str] = []
    for each in by_cost:
        together = [*taken, each]
        needed = _needed_usd(together)
        if needed <= budget_usd:
            taken = together
        elif each.estimate.cost_usd > budget_usd:
            left_out.append(
                f"{each.gpus} is left out: the run would cost {dollars(each.estimate.cost_usd)} on "
                f"it, more than the budget of {dollars(budget_usd)}"
            )
        else:
            left_out.append(_no_common_deadline(together, needed, budget_usd))
    return taken, left_out


def _needed_usd(choices: Sequence[Choice]) -> Decimal:
    """The budget that lets the expected run come to its end on each, whichever there will be:
    the longest of them at the dearest rate."""
    return cost_usd(_longest(choices), _dearest_usd(choices))


def _longest(choices: Sequence[Choice]) -> Decimal:
    """Seconds of the expected run where it takes longest."""
    return max(each.estimate.expected.total_seconds for each in choices)


def _dearest_usd(choices: Sequence[Choice]) -> Decimal:
    """An hour of the dearest of them."""
    return max(each.hourly_rate_usd for each in choices)


def _no_common_deadline(choices: Sequence[Choice], needed: Decimal, budget_usd: Decimal) -> str:
    hours = float(_longest(choices)) / SECONDS_PER_HOUR
    return (
        f"{choices[-1].gpus} is left out: one deadline for it and {choices[0].gpus} takes a budget "
        f"of {dollars(needed)} ({hours:.2f} h at {hourly(_dearest_usd(choices))}), "
        f"and this one is {dollars(budget_usd)}"
    )


def plan_resumption(
    choices: Sequence[Choice], budget_usd: Decimal | None, spent_usd: Decimal, now: datetime
) -> LaunchPlan:
    """The plan of a run that goes on: what is left of the budget sets the deadline.

    The estimate is still that of the whole run: how much of it is left is known only when the
    newest checkpoint has been read.

    Raises:
        OverBudget: nothing is left.
    """
    if budget_usd is None:
        return plan_launch(choices, None, now)
    by_cost = sorted(choices, key=lambda choice: choice.estimate.cost_usd)
    taken = [each for each in by_cost if _pays_for_more(each, budget_usd - spent_usd)]
    if not taken:
        raise OverBudget(
            f"{dollars(spent_usd)} of the budget of {dollars(budget_usd)} are spent,"
            " and the rest does not pay for another instance",
            "raise --budget",
        )
    left_out = tuple(
        f"{each.gpus} is left out: the rest of the budget does not pay for it"
        for each in by_cost
        if each not in taken
    )
    allowed = _allowed_seconds(taken, budget_usd - spent_usd)
    return LaunchPlan(tuple(taken), budget_usd, _deadline(taken, allowed, now), left_out)


def _pays_for_more(choice: Choice, left_usd: Decimal) -> bool:
    """Whether anything of the rest would remain after set-up and teardown."""
    seconds = affordable_seconds(left_usd, choice.hourly_rate_usd)
    return seconds is None or seconds > choice.estimate.given.durations(0).total_seconds


def _allowed_seconds(choices: Sequence[Choice], budget_usd: Decimal | None) -> Decimal:
    """From the first billed second to the last, on whichever of them."""
    if budget_usd is not None:
        affordable = affordable_seconds(budget_usd, _dearest_usd(choices))
        if affordable is not None:
            return affordable
    return max(_generous(each.estimate) for each in choices)


def _deadline(choices: Sequence[Choice], allowed: Decimal, now: datetime) -> datetime:
    teardown = max(each.estimate.expected.durations.teardown_seconds for each in choices)
    return now + timedelta(seconds=float(allowed - teardown))


def _cut_at_step(estimate: Estimate, allowed: Decimal) -> int | None:
    return None if estimate.worst.total_seconds <= allowed else last_step_within(estimate, allowed)


def refuse_over_budget(estimate: Estimate, budget_usd: Decimal) -> None:
    """Raises OverBudget if the expected run costs more than that; the hint says what would fit."""
    cost = estimate.cost_usd
    if cost > budget_usd:
        # Amounts that are the same to the cent are told apart by more digits.
        shown = dollars if dollars(cost) != dollars(budget_usd) else _exactly
        raise OverBudget(
            f"the run is expected to cost {shown(cost)},"
            f" more than the budget of {shown(budget_usd)}",
            _what_would_fit(estimate, budget_usd),
        )


def _exactly(amount: Decimal) -> str:
    return f"${amount:.6f}"


def _what_would_fit(estimate: Estimate, budget_usd: Decimal) -> str:
    seconds = affordable_seconds(budget_usd, estimate.expected.price.hourly_rate_usd)
    step = 0 if seconds is None else last_step_within(estimate, seconds)
    if step < 1:
        return "raise --budget, or find an instance with a lower --hourly-rate"
    is_expected_sooner = estimate.expected.stop_step < estimate.worst.stop_step
    keys = (
        "training.max_steps and forecast.stop_step" if is_expected_sooner else "training.max_steps"
    )
    return f"raise --budget, or set {keys} to {step} or less"


def _generous(estimate: Estimate) -> Decimal:
    return estimate.worst.total_seconds * SPARE_SHARE + SPARE_SECONDS


def last_step_within(estimate: Estimate, seconds: Decimal) -> int:
    """The last step whose bill fits into so many seconds; 0 when not even the set-up does."""
    low, high = 0, estimate.worst.stop_step
    while low < high:
        middle = (low + high + 1) // 2
        if estimate.given.durations(middle).total_seconds <= seconds:
            low = middle
        else:
            high = middle - 1
    return low
