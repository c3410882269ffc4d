"""Time and cost of a run, and what stopping early changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.estimate.layout import (
    amount,
    bullet,
    digits,
    hanging,
    indented,
    seconds,
)
from fintts_cli.views.units import columns, counted, duration
from fintts_cost.estimate.extras import NOT_COUNTED
from fintts_cost.money import SECONDS_PER_HOUR, dollars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fintts_cost.estimate.bill import Bill
    from fintts_cost.estimate.extras import Extras
    from fintts_cost.estimate.result import Estimate


def time_lines(estimate: Estimate) -> Iterator[str]:
    schedule, given, steps = estimate.schedule, estimate.given, estimate.expected.stop_step
    spent = estimate.expected.durations
    checks, written = schedule.validation_checks(steps), estimate.storage.written
    each_step = f"{seconds(given.seconds_per_step)}"
    each_check = f"{seconds(given.seconds_per_validation)}, every {given.validation_every:,} steps"
    each_save = f"{seconds(given.checkpoint_seconds)}, every {given.checkpoint_every:,} steps"
    hours = f"{spent.total_seconds / SECONDS_PER_HOUR:,.4f} h"
    spoken = given.times_spoken(steps)
    each_time = f"{spoken:,} × at most {seconds(given.seconds_per_samples)}"
    samples = (("samples", spent.samples_seconds, each_time),) if spoken else ()
    hours_of_speech = f"{given.speech_seconds / SECONDS_PER_HOUR:,.2f} h of speech"
    encoding = (
        (("encoding", spent.encoding_seconds, hours_of_speech),) if given.encoding.high else ()
    )
    rows = (
        ("set-up", spent.setup_seconds, ""),
        *encoding,
        ("training", spent.training_seconds, f"{counted(steps, 'step')} × {each_step}"),
        ("validation", spent.validation_seconds, f"{counted(checks, 'check')} × {each_check}"),
        ("checkpoints", spent.checkpoint_seconds, f"{written:,} × {each_save}"),
        *samples,
        ("teardown", spent.teardown_seconds, ""),
        ("total", spent.total_seconds, hours),
    )
    yield from columns(
        ("part", "time", "seconds", ""),
        [(name, duration(float(sec)), seconds(sec), how) for name, sec, how in rows],
        "lrrl",
    )
    yield ""
    yield f"{seconds(given.seconds_per_step)} a step, from: {given.seconds_per_step_source}"


def cost_lines(estimate: Estimate) -> Iterator[str]:
    expected, given = estimate.expected, estimate.given
    price = expected.price
    hours = f"{expected.total_seconds / SECONDS_PER_HOUR:,.4f} h"
    source = price.source + (f", as of {price.as_of}" if price.as_of else "")
    rate = f"${amount(price.hourly_rate_usd)} an hour"
    yield from hanging("the rate         ", f"{rate}, from: {source}")
    yield f"the run          {rate} × {hours} = {dollars(expected.cost_usd)}"
    unique, seen = estimate.cost_per_unique_sample_usd, estimate.cost_per_sample_seen_usd
    yield f"a unique sample  ${digits(unique)}, of {given.samples:,}"
    yield f"a sample seen    ${digits(seen)}, of {estimate.samples_seen:,}"
    each = f"{estimate.schedule.samples_per_step:,} in {seconds(given.seconds_per_step)}"
    yield f"throughput       {estimate.samples_per_second:,.4f} samples/s while training ({each})"


def early_stopping_lines(estimate: Estimate) -> Iterator[str]:
    given = estimate.given
    if given.patience is None:
        yield "off: the run continues to its last step, whatever the loss"
    else:
        checks = counted(given.patience, "check")
        yield f"watches {given.monitor}; stops after {checks} in a row"
        yield "without improvement (patience counts validation checks, not steps)"
        yield ""
    yield from columns(
        ("", "stops at", "time", "cost", ""),
        [
            _scenario("earliest", estimate.earliest, _why_earliest(estimate)),
            _scenario("expected", estimate.expected, ""),
            _scenario("worst", estimate.worst, "max steps"),
        ],
        "lrrrl",
    )
    yield from _saving(estimate)


def _scenario(name: str, bill: Bill, why: str) -> Sequence[str]:
    time = duration(float(bill.total_seconds))
    return name, f"{bill.stop_step:,}", time, dollars(bill.cost_usd), why


def _why_earliest(estimate: Estimate) -> str:
    given, step = estimate.given, estimate.given.rule_stop_step
    if given.patience is None or step is None:
        return ""
    if step > estimate.earliest.stop_step:
        return f"the rule cannot fire before step {step:,}"
    return f"({given.patience:,} + 1) checks × {given.validation_every:,} steps"


def _saving(estimate: Estimate) -> Iterator[str]:
    saving, expected, worst = estimate.saving, estimate.expected, estimate.worst
    if saving.steps == 0:
        possible = worst.cost_usd - estimate.earliest.cost_usd
        if possible:
            yield ""
            yield f"an early stop would save up to {dollars(possible)}"
        return
    yield ""
    yield f"stopping at {expected.stop_step:,} of {worst.stop_step:,} saves {saving.steps:,} steps:"
    yield f"{seconds(saving.training_seconds)} of training, {dollars(saving.training_usd)};"
    yield f"with their checks and saves {seconds(saving.seconds)}, {dollars(saving.usd)}"
    rule = estimate.given.rule_stop_step
    if rule is not None and expected.stop_step < rule:
        yield f"step {expected.stop_step:,} comes before early stopping can fire"


def extras_lines(estimate: Estimate, extras: Extras) -> Iterator[str]:
    rows = [(each.name, each.how, dollars(each.usd)) for each in extras.items]
    yield from indented(columns(("", "", "cost"), rows, "llr"))
    with_gpu = estimate.expected.cost_usd + extras.usd
    yield f"  with the GPU {dollars(with_gpu)}; a budget counts the GPU alone"
    for fact in dict.fromkeys(each.fact for each in extras.items):
        yield from bullet(f"${fact.usd} {fact.unit}: {fact.source}, as of {fact.as_of}")
    yield from bullet(f"not counted: {'; '.join(NOT_COUNTED)}")
