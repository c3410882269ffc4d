"""The plan of a launch as the user sees it before agreeing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.units import (
    duration,
    moment,
    rough_dollars,
    rough_duration,
    step_seconds,
    table,
)
from fintts_cli.wording import iso
from fintts_cost.estimate.extras import NOT_COUNTED
from fintts_cost.money import SECONDS_PER_HOUR, dollars, hourly
from fintts_cost.plan.sentences import deadline_sentence, rest_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fintts_cli.launch.launch import Launch
    from fintts_cost.estimate.bill import Bill
    from fintts_cost.estimate.extras import Extras
    from fintts_cost.estimate.result import Estimate
    from fintts_cost.plan.candidate import Candidate
    from fintts_cost.plan.launch import LaunchPlan


def render_plan(plan: LaunchPlan, *, run: str, where: str, now: datetime) -> str:
    """Run and place, the bill in three scenarios, and the deadline.

    Args:
        where: infra and accelerator, such as `local, A100-80GB:1, on-demand`.
    """
    rest = rest_sentence(plan)
    return "\n".join(
        [
            f"Run {run} on {where}",
            *(f"  {line}" for choice in plan.choices for line in _bill(choice, plan.choices)),
            *([f"  {rest}"] if rest else []),
            f"  {_deadline(plan, now)}: {deadline_sentence(plan)}",
        ]
    )


def beside_the_gpu(extras: Extras) -> str:
    """`beside the GPU about $0.46: disk $0.12 (256 GB for 4.4 h) …`, in one line"""
    parts = ", ".join(f"{each.name} {dollars(each.usd)} ({each.how})" for each in extras.items)
    left_out = ", ".join(NOT_COUNTED)
    return f"beside the GPU about {dollars(extras.usd)}: {parts}; not counted: {left_out}"


def _deadline(plan: LaunchPlan, now: datetime) -> str:
    """`deadline 4 h 10 min after the instance is asked for (18:40 UTC if that is now)`"""
    when = moment(plan.deadline_from(now), now)
    after = duration(float(plan.run_seconds))
    return f"deadline {after} after the request for the instance ({when} if you launch now)"


def _bill(choice: Candidate, choices: Sequence[Candidate]) -> list[str]:
    """Rate, pace and the three scenarios, for each GPU by name if there are several."""
    made, price = choice.estimate, choice.price
    step = f"{step_seconds(made.given)} a step ({made.given.seconds_per_step_source})"
    as_of = f", as of {price.as_of}" if price.as_of else ""
    name = f"{choice.gpus}: " if len(choices) > 1 else ""
    rows = [
        _row("earliest", made.earliest),
        _row("expected", made.expected),
        _row("worst", made.worst),
    ]
    scenarios = [] if not made.given.encoding.high else [encoding_line(made)]
    scenarios += table(("", "COST", "TIME", "STOPS AT STEP"), rows).splitlines()
    return [f"{name}{hourly(price.hourly_rate_usd)} ({price.source}{as_of}), {step}", *scenarios]


def encoding_line(made: Estimate) -> str:
    """`encodes 3.2 h of speech first: about 2 min and $0.05 (1 to 7 min, $0.02 to $0.2)`"""
    given = made.given
    hourly_usd = float(given.price.hourly_rate_usd)
    low, likely, high = map(rough_duration, given.encoding)
    usd = [rough_dollars(seconds * hourly_usd / SECONDS_PER_HOUR) for seconds in given.encoding]
    speech = duration(given.speech_seconds)
    return (
        f"encodes {speech} of speech first: about {likely} and {usd[1]} ({low} to {high}, {usd[0]} "
        f"to {usd[2]})"
    )


def _row(name: str, bill: Bill) -> tuple[str, ...]:
    time = duration(float(bill.total_seconds))
    return name, dollars(bill.cost_usd), time, f"{bill.stop_step:,}"


def launch_document(launch: Launch) -> dict[str, object]:
    """The document of `fintts cloud launch --json`."""
    plan = launch.plan
    return {
        "run": launch.run,
        "infra": launch.settings.infra,
        "store": launch.store.url,
        "estimated_cost_usd": float(plan.estimate.expected.cost_usd_to_cent),
        "budget_usd": None if plan.budget_usd is None else float(plan.budget_usd),
        "deadline_at": iso(launch.deadline_at),
    }
