"""Steps, epochs and batch sizes of a run."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cli.views.estimate.layout import number
from fintts_cli.views.estimate.memory import memory_models, total_memory
from fintts_cli.views.units import columns, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fintts_cost.estimate.result import Estimate
    from fintts_cost.training.schedule import EpochRow, Schedule

MOST_EPOCHS = 14
EPOCHS_BEFORE_THE_FOLD = 6
EPOCHS_AFTER_THE_FOLD = 3
COMPARED_BATCH_SIZES = (1, 4, 8, 16, 32)


def epochs_lines(estimate: Estimate) -> Iterator[str]:
    schedule, given, steps = estimate.schedule, estimate.given, estimate.expected.stop_step
    each = schedule.samples_per_step
    batch = f"batch {given.batch_size:,} × accumulation {given.gradient_accumulation:,}"
    yield f"a step    one optimizer update on {counted(each, 'sample')} ({batch})"
    yield f"an epoch  one pass over the data: {_steps_per_epoch(schedule)}"
    epochs = number(schedule.epochs(steps))
    yield f"the run   {steps:,} / {schedule.steps_per_epoch:,} = {epochs} epochs"
    yield f"          {counted(estimate.samples_seen, 'sample')} seen, {_times_each(estimate)}"
    yield ""
    yield from columns(("epoch", "steps", "count", ""), _epoch_rows(estimate), "rrrl")


def _times_each(estimate: Estimate) -> str:
    times, rest = divmod(estimate.samples_seen, estimate.given.samples)
    if rest == 0:
        return f"each {times:,} times"
    mean = Decimal(estimate.samples_seen) / estimate.given.samples
    return f"each {times:,} or {times + 1:,} times, {number(mean)} on average"


def _steps_per_epoch(schedule: Schedule) -> str:
    division = f"{schedule.samples:,} / {schedule.samples_per_step:,}"
    rest = schedule.samples % schedule.samples_per_step
    if rest == 0:
        return f"{division} = {schedule.steps_per_epoch:,} steps"
    ratio = number(schedule.steps_per_epoch_by_ratio)
    return f"{division} = {ratio}: {schedule.steps_per_epoch:,} steps, the last one on {rest:,}"


def _epoch_rows(estimate: Estimate) -> Iterator[Sequence[str]]:
    """Every epoch, or only the first and last ones if there are many."""
    schedule, steps = estimate.schedule, estimate.expected.stop_step
    last = schedule.epochs_begun(steps)
    if last <= MOST_EPOCHS:
        yield from map(_epoch_row, schedule.epoch_table(steps))
        return
    for n in range(1, EPOCHS_BEFORE_THE_FOLD + 1):
        yield _epoch_row(schedule.epoch_row(n, steps))
    yield "…", "…", "", ""
    for n in range(last - EPOCHS_AFTER_THE_FOLD + 1, last + 1):
        yield _epoch_row(schedule.epoch_row(n, steps))


def _epoch_row(row: EpochRow) -> Sequence[str]:
    steps = f"{row.first_step:,} – {row.last_step:,}"
    return f"{row.number:,}", steps, f"{row.steps:,}", "partial" if row.partial else ""


def batch_size_lines(estimate: Estimate) -> Iterator[str]:
    given, schedules, models = estimate.given, list(_compared(estimate)), memory_models(estimate)
    header = ("", "batch", "steps/epoch", "", "epochs", "", *models)
    rows = [
        (
            "yours" if schedule.batch_size == given.batch_size else "",
            f"{schedule.batch_size:,}",
            *_pace(schedule),
            *(total_memory(estimate, model, schedule.batch_size) for model in models.values()),
        )
        for schedule in schedules
    ]
    yield f"{given.max_steps:,} steps with other batch sizes" + (
        ", and their memory" if models else ""
    )
    yield ""
    yield from columns(header, rows, "lrrlrl" + "r" * len(models))
    if any(_has_smaller_last_step(schedule) for schedule in schedules):
        yield "in brackets: by ratio, without the smaller step at the end of an epoch"


def _pace(schedule: Schedule) -> tuple[str, str, str, str]:
    """Steps per epoch and epochs, each with the exact ratio in brackets if it differs."""
    steps, epochs = schedule.steps_per_epoch, schedule.epochs(schedule.max_steps)
    if not _has_smaller_last_step(schedule):
        return f"{steps:,}", "", number(epochs), ""
    ratio = schedule.steps_per_epoch_by_ratio
    by_ratio = number(schedule.max_steps / ratio)
    return f"{steps:,}", f"({number(ratio)})", number(epochs), f"({by_ratio})"


def _has_smaller_last_step(schedule: Schedule) -> bool:
    return schedule.samples % schedule.samples_per_step > 0


def _compared(estimate: Estimate) -> Iterator[Schedule]:
    """The schedule with other batch sizes, if the data set is large enough for them."""
    given = estimate.given
    for batch_size in sorted({*COMPARED_BATCH_SIZES, given.batch_size}):
        if batch_size * given.gradient_accumulation <= given.samples:
            yield replace(estimate.schedule, batch_size=batch_size)
