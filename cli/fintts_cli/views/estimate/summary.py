"""An estimate on one screen: what the headline follows from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.estimate.headline import short
from fintts_cli.views.estimate.layout import amount, hanging, number
from fintts_cli.views.units import counted, rough_dollars, rough_duration, significant
from fintts_cost.estimate.extras import NOT_COUNTED
from fintts_cost.money import dollars
from fintts_cost.spot.preemptions import PREEMPTIONS_SOURCE, interval_remark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from fintts_cost.estimate.bill import Durations
    from fintts_cost.estimate.extras import Extras
    from fintts_cost.estimate.inputs import EstimateInput
    from fintts_cost.estimate.result import Estimate
    from fintts_cost.plan.candidate import Candidate

KINDS = {
    "given": "",
    "measured": "measured by ",
    "forecast": "no run of yours has measured it; ",
}


def summary_lines(
    candidate: Candidate,
    other_kind: Candidate | None = None,
    *,
    budget_usd: Decimal | None,
    extras: Extras | None,
) -> Iterator[str]:
    """Steps, pace, price and budget, a line or two each."""
    made = candidate.estimate
    yield from hanging("steps      ", _steps(made))
    yield from hanging("a step     ", _pace(made.given))
    yield from hanging("time       ", _time(made.expected.durations))
    if made.given.encoding.high:
        yield from hanging("encoding   ", _encoding(made.given))
    yield from hanging("price      ", _price(candidate))
    if made.earliest.stop_step < made.expected.stop_step:
        earliest = f"{rough_dollars(float(made.earliest.cost_usd))} at step"
        step = f"{made.earliest.stop_step:,}"
        yield from hanging("may stop   ", f"early stopping can end it for {earliest} {step}")
    if candidate.spot:
        yield from hanging("spot       ", _preemptions(candidate))
    if other_kind is not None:
        yield from hanging("or         ", _other(other_kind, candidate))
    if extras is not None and extras.items:
        yield from hanging("extras     ", _extras(extras))
    if budget_usd is not None:
        yield from hanging("budget     ", _budget(candidate, budget_usd))


def _steps(made: Estimate) -> str:
    schedule, stop = made.schedule, made.expected.stop_step
    epochs = number(schedule.epochs(stop))
    checks = counted(schedule.validation_checks(stop), "check")
    return (
        f"{stop:,} of {schedule.samples_per_step:,} samples, {epochs} epochs of "
        f"{schedule.samples:,}; {checks}, {made.storage.written:,} checkpoints"
    )


def _pace(given: EstimateInput) -> str:
    """`0.16 s (0.10 to 5.4 s; 50 µs a token): …`"""
    if given.pace.is_exact:
        return f"{given.pace.likely:g} s, from: {given.seconds_per_step_source}"
    low, likely, high = map(significant, given.pace)
    token = ""
    if given.tokens_per_step:
        token = f"; {significant(given.pace.likely / given.tokens_per_step * 1e6)} µs a token"
    source = f"{KINDS[given.pace_kind]}{given.seconds_per_step_source}"
    return f"{likely} s ({low} to {high} s{token}): {source}"


def _encoding(given: EstimateInput) -> str:
    """`3.2 h of speech in about 2 min (1 to 7 min): …`"""
    low, likely, high = map(rough_duration, given.encoding)
    speech = rough_duration(given.speech_seconds)
    return f"{speech} of speech in about {likely} ({low} to {high}): {given.encoding_source}"


def _time(spent: Durations) -> str:
    parts = {
        "set-up": spent.setup_seconds,
        "encoding": spent.encoding_seconds,
        "training": spent.training_seconds,
        "checks": spent.validation_seconds,
        "saves": spent.checkpoint_seconds,
        "samples": spent.samples_seconds,
        "teardown": spent.teardown_seconds,
    }
    listed = ", ".join(f"{name} {rough_duration(float(s))}" for name, s in parts.items() if s)
    return f"about {rough_duration(float(spent.total_seconds))}: {listed}"


def _price(candidate: Candidate) -> str:
    price = candidate.price
    as_of = f", as of {price.as_of}" if price.as_of else ""
    return f"${amount(price.hourly_rate_usd)} an hour, from: {price.source}{as_of}"


def _preemptions(candidate: Candidate) -> str:
    """How often the instance is expected to be taken away, and what that adds."""
    outlook = candidate.outlook
    added = outlook.usd.likely - float(candidate.cost_usd)
    low, likely, high = map(significant, outlook.preemptions)
    told = (
        f"{likely} preemptions expected ({low} to {high}; {PREEMPTIONS_SOURCE}), which add "
        f"{rough_dollars(added)}"
    )
    remark = interval_remark(candidate.estimate.given)
    return told if remark is None else f"{told}; {remark}"


def _other(other: Candidate, candidate: Candidate) -> str:
    """`on spot: $0.90 expected, $0.40 to $6, in 1.2 h (cheaper)`"""
    low, likely, high = map(rough_dollars, other.outlook.usd)
    dearer = " (dearer)" if other.expected_usd > candidate.expected_usd else " (cheaper)"
    kind = "on spot" if other.spot else "on demand"
    hours = rough_duration(other.outlook.seconds.likely)
    return f"{kind}: {likely} expected, {low} to {high}, in {hours}{dearer}"


def _extras(extras: Extras) -> str:
    items = ", ".join(f"{each.name} {dollars(each.usd)}" for each in extras.items)
    return f"about {dollars(extras.usd)} ({items}); not counted: {', '.join(NOT_COUNTED)}"


def _budget(candidate: Candidate, budget_usd: Decimal) -> str:
    if budget_usd == 0 or candidate.hourly_rate_usd == 0:
        return f"{short(budget_usd)}; no GPU is billed"
    share = candidate.outlook.usd.likely / float(budget_usd)
    return f"{'fits' if share <= 1 else 'does not fit'}, {share:.0%} of {short(budget_usd)}"
