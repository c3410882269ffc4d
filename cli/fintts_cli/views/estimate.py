"""The estimate as text that explains itself with the run's own numbers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from textwrap import wrap
from typing import TYPE_CHECKING

from fintts_cli.views.units import counted, duration
from fintts_cost.extras import NOT_COUNTED
from fintts_cost.money import dollars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fintts_cost.bill import Bill
    from fintts_cost.estimate import Estimate
    from fintts_cost.extras import Extras
    from fintts_cost.memory import MemoryModel
    from fintts_cost.schedule import EpochRow, Schedule

WIDTH = 78
MOST_EPOCHS = 14
EPOCHS_BEFORE_THE_FOLD = 6
EPOCHS_AFTER_THE_FOLD = 3
MOST_KEPT_STEPS = 8
COMPARED_BATCH_SIZES = (1, 4, 8, 16, 32)
SECONDS_PER_HOUR = 3600
MB = 10**6


def estimate_text(
    estimate: Estimate,
    *,
    title: str,
    notes: Sequence[str] = (),
    extras: Extras | None = None,
    choices: Sequence[str] = (),
) -> str:
    """The text of `fintts estimate`: at most 78 columns, no colour, no trailing line end.

    Args:
        title: the first line; names what is estimated.
        notes: further remarks of one or two sentences each; they are wrapped.
        extras: the run's costs besides its GPU.
        choices: the lines of the table of GPUs, if there are several.
    """
    sections: tuple[tuple[str, Callable[[Estimate], Iterator[str]]], ...] = (
        ("Steps and epochs", _epochs),
        ("Time", _time),
        ("Cost", _cost),
        ("Early stopping", _early_stopping),
        ("Checkpoints", _checkpoints),
        ("Batch sizes", _batch_sizes),
        ("GPU memory", _memory),
        ("Loss", _loss),
    )
    lines = [title, *_indented(_headline(estimate))]
    lines += [*_heading("GPUs, the cheapest run first"), *_indented(choices)] if choices else []
    for name, section in sections:
        body = list(section(estimate))
        lines += [*_heading(name), *_indented(body)] if body else []
    if extras is not None and extras.items:
        lines += [*_heading("Beside the GPU"), *_extras(estimate, extras)]
    if notes:
        lines += [*_heading("Notes"), *(line for note in notes for line in _bullet(note))]
    return "\n".join(lines)


def _headline(estimate: Estimate) -> Iterator[str]:
    expected, worst = estimate.expected, estimate.worst
    time = duration(float(expected.total_seconds))
    if worst.stop_step == expected.stop_step:
        steps = counted(expected.stop_step, "step")
        yield f"{dollars(expected.cost_usd)} and {time} for all {steps}"
        return
    yield f"{dollars(expected.cost_usd)} and {time}, if it stops at step {expected.stop_step:,}"
    most = duration(float(worst.total_seconds))
    yield f"{dollars(worst.cost_usd)} and {most} at most, at step {worst.stop_step:,}"


def _epochs(estimate: Estimate) -> Iterator[str]:
    schedule, given, steps = estimate.schedule, estimate.given, estimate.expected.stop_step
    each = schedule.samples_per_step
    batch = f"batch {given.batch_size:,} × accumulation {given.gradient_accumulation:,}"
    yield f"a step    one optimizer update on {counted(each, 'sample')} ({batch})"
    yield f"an epoch  one pass over the data: {_steps_per_epoch(schedule)}"
    epochs = _number(schedule.epochs(steps))
    yield f"the run   {steps:,} / {schedule.steps_per_epoch:,} = {epochs} epochs"
    yield f"          {counted(estimate.samples_seen, 'sample')} seen, {_times_each(estimate)}"
    yield ""
    yield from _table(("epoch", "steps", "count", ""), _epoch_rows(estimate), "rrrl")


def _times_each(estimate: Estimate) -> str:
    times, rest = divmod(estimate.samples_seen, estimate.given.samples)
    if rest == 0:
        return f"each {times:,} times"
    mean = Decimal(estimate.samples_seen) / estimate.given.samples
    return f"each {times:,} or {times + 1:,} times, {_number(mean)} on average"


def _steps_per_epoch(schedule: Schedule) -> str:
    division = f"{schedule.samples:,} / {schedule.samples_per_step:,}"
    rest = schedule.samples % schedule.samples_per_step
    if rest == 0:
        return f"{division} = {schedule.steps_per_epoch:,} steps"
    ratio = _number(schedule.steps_per_epoch_by_ratio)
    return f"{division} = {ratio}: {schedule.steps_per_epoch:,} steps, the last one on {rest:,}"


def _epoch_rows(estimate: Estimate) -> Iterator[Sequence[str]]:
    """All epochs, or the first and the last if there are many."""
    schedule, steps = estimate.schedule, estimate.expected.stop_step
    last = schedule.epochs_begun(steps)
    if last <= MOST_EPOCHS:
        yield from map(_epoch_row, schedule.epoch_table(steps))
        return
    for number in range(1, EPOCHS_BEFORE_THE_FOLD + 1):
        yield _epoch_row(schedule.epoch_row(number, steps))
    yield "…", "…", "", ""
    for number in range(last - EPOCHS_AFTER_THE_FOLD + 1, last + 1):
        yield _epoch_row(schedule.epoch_row(number, steps))


def _epoch_row(row: EpochRow) -> Sequence[str]:
    steps = f"{row.first_step:,} – {row.last_step:,}"
    return f"{row.number:,}", steps, f"{row.steps:,}", "partial" if row.partial else ""


def _time(estimate: Estimate) -> Iterator[str]:
    schedule, given, steps = estimate.schedule, estimate.given, estimate.expected.stop_step
    spent = estimate.expected.durations
    checks, written = schedule.validation_checks(steps), estimate.storage.written
    each_step = f"{_seconds(given.seconds_per_step)}"
    each_check = f"{_seconds(given.seconds_per_validation)}, every {given.validation_every:,} steps"
    each_save = f"{_seconds(given.checkpoint_seconds)}, every {given.checkpoint_every:,} steps"
    hours = f"{spent.total_seconds / SECONDS_PER_HOUR:,.4f} h"
    rows = (
        ("set-up", spent.setup_seconds, ""),
        ("training", spent.training_seconds, f"{counted(steps, 'step')} × {each_step}"),
        ("validation", spent.validation_seconds, f"{counted(checks, 'check')} × {each_check}"),
        ("checkpoints", spent.checkpoint_seconds, f"{written:,} × {each_save}"),
        ("teardown", spent.teardown_seconds, ""),
        ("total", spent.total_seconds, hours),
    )
    yield from _table(
        ("part", "time", "seconds", ""),
        [(name, duration(float(sec)), _seconds(sec), how) for name, sec, how in rows],
        "lrrl",
    )
    yield ""
    yield f"{_seconds(given.seconds_per_step)} a step, from: {given.seconds_per_step_source}"


def _cost(estimate: Estimate) -> Iterator[str]:
    expected, given = estimate.expected, estimate.given
    price = expected.price
    hours = f"{expected.total_seconds / SECONDS_PER_HOUR:,.4f} h"
    source = price.source + (f", as of {price.as_of}" if price.as_of else "")
    rate = f"${_money(price.hourly_rate_usd)} an hour"
    yield from _hanging("the rate         ", f"{rate}, from: {source}")
    yield f"the run          {rate} × {hours} = {dollars(expected.cost_usd)}"
    unique, seen = estimate.cost_per_unique_sample_usd, estimate.cost_per_sample_seen_usd
    yield f"a unique sample  ${_digits(unique)}, of {given.samples:,}"
    yield f"a sample seen    ${_digits(seen)}, of {estimate.samples_seen:,}"
    each = f"{estimate.schedule.samples_per_step:,} in {_seconds(given.seconds_per_step)}"
    yield f"throughput       {estimate.samples_per_second:,.4f} samples/s while training ({each})"


def _early_stopping(estimate: Estimate) -> Iterator[str]:
    given = estimate.given
    if given.patience is None:
        yield "off: the run continues to its last step, whatever the loss"
    else:
        checks = counted(given.patience, "check")
        yield f"watches {given.monitor}; stops after {checks} in a row"
        yield "without a new best (patience counts validation checks, not steps)"
        yield ""
    yield from _table(
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
    yield f"{_seconds(saving.training_seconds)} of training, {dollars(saving.training_usd)};"
    yield f"with their checks and saves {_seconds(saving.seconds)}, {dollars(saving.usd)}"
    rule = estimate.given.rule_stop_step
    if rule is not None and expected.stop_step < rule:
        yield f"step {expected.stop_step:,} comes before early stopping can fire"


def _checkpoints(estimate: Estimate) -> Iterator[str]:
    storage, given = estimate.storage, estimate.given
    cadence = f"every {given.checkpoint_every:,} steps and at the end"
    yield f"written      {storage.written:,}, {cadence}; {storage.removed:,} rotated away"
    yield f"kept         {_kept_steps(storage.kept_steps)}"
    if storage.bytes_each:
        yield from _disk(estimate)
    if estimate.keep_last_alone_loses_best:
        yield ""
        yield f"with patience {given.patience:,} the last {given.keep_last:,} alone would lose"
        yield f"the best one just as the run stops: {_best_is_kept(estimate)}"


def _best_is_kept(estimate: Estimate) -> str:
    if estimate.given.keep_best:
        return "fintts keeps it beyond them"
    return "set keep_best to keep it"


def _kept_steps(steps: Sequence[int]) -> str:
    if len(steps) <= MOST_KEPT_STEPS:
        return "  ".join(f"{step:,}" for step in steps)
    return f"{steps[0]:,}  {steps[1]:,}  …  {steps[-1]:,} ({len(steps):,} of them)"


def _disk(estimate: Estimate) -> Iterator[str]:
    storage = estimate.storage
    kept, each = len(storage.kept_steps), _megabytes(storage.bytes_each)
    yield f"at the end   {kept:,} × {each} = {_megabytes(storage.bytes_at_end)}"
    peak, with_best = _megabytes(storage.bytes_at_peak), _megabytes(storage.bytes_with_best)
    yield f"at the peak  {peak}: a new one is complete before an old one goes"
    if estimate.given.keep_best and with_best != peak:
        yield f"             {with_best} while the best one is older than all of them"
    whole = _megabytes(storage.bytes_without_rotation)
    yield f"unrotated    {storage.written:,} × {each} = {whole}"


def _batch_sizes(estimate: Estimate) -> Iterator[str]:
    given, schedules, models = estimate.given, list(_compared(estimate)), _memory_models(estimate)
    header = ("", "batch", "steps/epoch", "", "epochs", "", *models)
    rows = [
        (
            "yours" if schedule.batch_size == given.batch_size else "",
            f"{schedule.batch_size:,}",
            *_pace(schedule),
            *(_total_memory(estimate, model, schedule.batch_size) for model in models.values()),
        )
        for schedule in schedules
    ]
    yield f"{given.max_steps:,} steps with other batch sizes" + (
        ", and their memory" if models else ""
    )
    yield ""
    yield from _table(header, rows, "lrrlrl" + "r" * len(models))
    if any(_has_smaller_last_step(schedule) for schedule in schedules):
        yield "in brackets: by ratio, without the smaller step at the end of an epoch"


def _pace(schedule: Schedule) -> tuple[str, str, str, str]:
    """Steps per epoch and epochs, each with the exact ratio in brackets if it differs."""
    steps, epochs = schedule.steps_per_epoch, schedule.epochs(schedule.max_steps)
    if not _has_smaller_last_step(schedule):
        return f"{steps:,}", "", _number(epochs), ""
    ratio = schedule.steps_per_epoch_by_ratio
    by_ratio = _number(schedule.max_steps / ratio)
    return f"{steps:,}", f"({_number(ratio)})", _number(epochs), f"({by_ratio})"


def _has_smaller_last_step(schedule: Schedule) -> bool:
    return schedule.samples % schedule.samples_per_step > 0


def _compared(estimate: Estimate) -> Iterator[Schedule]:
    """The schedule with other batch sizes, if the data set is large enough for them."""
    given = estimate.given
    for batch_size in sorted({*COMPARED_BATCH_SIZES, given.batch_size}):
        if batch_size * given.gradient_accumulation <= given.samples:
            yield replace(estimate.schedule, batch_size=batch_size)


def _memory_models(estimate: Estimate) -> dict[str, MemoryModel]:
    """The available models of GPU memory, by a name that says how far to trust them."""
    model, peak = estimate.given.memory, estimate.given.measured_peak
    if model is None:
        return {}
    if model.calibrated:
        return {"calibrated": model}
    if peak is None:
        return {"uncalibrated": model}
    return {
        "uncalibrated": model,
        "calibrated": model.calibrate(peak.peak_bytes, peak.batch_size),
    }


def _total_memory(estimate: Estimate, model: MemoryModel, batch_size: int) -> str:
    """The total memory, marked with ! if it exceeds the accelerator's."""
    total, accelerator = model.total_bytes(batch_size), estimate.given.accelerator
    too_much = accelerator is not None and total > accelerator.memory_bytes
    return f"{'! ' if too_much else ''}{_gigabytes(total)}"


def _memory(estimate: Estimate) -> Iterator[str]:
    given, batch_size = estimate.given, estimate.given.batch_size
    for name, model in _memory_models(estimate).items():
        batch = f"{batch_size:,} × {_megabytes(model.sample_bytes)}"
        yield f"{name}: {batch} = {_megabytes(model.batch_bytes(batch_size))} a batch,"
        fixed = _gigabytes(model.fixed_bytes)
        yield f"  + {fixed} of weights, adapter, gradients and optimizer = " + _gigabytes(
            model.total_bytes(batch_size)
        )
    yield from _measured(estimate)
    if given.memory is not None and not given.memory.calibrated:
        yield "uncalibrated means computed from sizes alone: expect a multiple of it"
    if given.accelerator is not None and given.memory is not None:
        yield f"! exceeds the {given.accelerator.memory_gb:g} GB of {given.accelerator.name}"


def _measured(estimate: Estimate) -> Iterator[str]:
    peak, accelerator = estimate.given.measured_peak, estimate.given.accelerator
    if peak is None:
        return
    share = ""
    if accelerator is not None:
        of_all = Decimal(peak.peak_bytes) / accelerator.memory_bytes
        share = f", {of_all:.0%} of {accelerator.memory_gb:g} GB"
    yield f"measured: {_gigabytes(peak.peak_bytes)} at batch {peak.batch_size:,}{share}"


def _loss(estimate: Estimate) -> Iterator[str]:
    heads = estimate.given.heads
    if not heads:
        return
    yield "a uniform guess has the loss ln(classes): compare each head with its own"
    yield ""
    rows = [(head.name, f"{head.classes:,}", f"{head.uniform_guess:.3f}") for head in heads]
    yield from _table(("head", "classes", "uniform guess"), rows, "lrr")


def _extras(estimate: Estimate, extras: Extras) -> Iterator[str]:
    rows = [(each.name, each.how, dollars(each.usd)) for each in extras.items]
    yield from _indented(_table(("", "", "cost"), rows, "llr"))
    with_gpu = estimate.expected.cost_usd + extras.usd
    yield f"  with the GPU {dollars(with_gpu)}; a budget counts the GPU alone"
    for fact in dict.fromkeys(each.fact for each in extras.items):
        yield from _bullet(f"${fact.usd} {fact.unit}: {fact.source}, as of {fact.as_of}")
    yield from _bullet(f"not counted: {'; '.join(NOT_COUNTED)}")


def _heading(name: str) -> tuple[str, str]:
    return "", f"── {name} ".ljust(WIDTH, "─")


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


def _hanging(label: str, text: str) -> list[str]:
    """Wrapped lines, indented to the end of the label."""
    room = WIDTH - len("  ")
    return wrap(text, room, initial_indent=label, subsequent_indent=" " * len(label))


def _bullet(note: str) -> list[str]:
    return wrap(note, WIDTH, initial_indent="  · ", subsequent_indent="    ")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> Iterator[str]:
    """Columns two spaces apart, each aligned left (l) or right (r)."""
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(line, widths, align, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _number(value: Decimal | float, places: int = 2) -> str:
    """At most `places` decimals, without trailing zeros: 11.2, 15,120, 47.62."""
    text = f"{Decimal(str(value)):,.{places}f}"
    return text.rstrip("0").rstrip(".")


def _seconds(value: Decimal | float) -> str:
    return f"{_number(value, 4)} s"


def _digits(value: Decimal) -> str:
    """Four significant digits, never an exponent: 0.0002375."""
    return f"{Decimal(f'{value:.4g}').normalize():f}"


def _money(value: Decimal) -> str:
    """An amount with at least two decimals: 1.20, and 0.4375 in full."""
    exponent = value.normalize().as_tuple().exponent
    decimals = max(2, -exponent) if isinstance(exponent, int) else 2
    return f"{value:,.{decimals}f}"


def _megabytes(count: int) -> str:
    return f"{_number(Decimal(count) / MB)} MB"


def _gigabytes(count: int) -> str:
    """A size in gigabytes, or in megabytes for a small model, since 0.0 GB says nothing."""
    if count < 1000 * MB:
        return _megabytes(count)
    return f"{Decimal(count) / (1000 * MB):,.1f} GB"
