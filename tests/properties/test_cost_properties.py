"""What holds for every run."""

from __future__ import annotations

import math
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from fintts_cost.estimate.inputs import EstimateInput
from fintts_cost.estimate.result import estimate
from fintts_cost.money import Price, cost_to_finish_usd, cost_usd
from fintts_cost.pace.eta import EtaMeter
from fintts_cost.training.early_stopping import EarlyStopping, Mode
from fintts_cost.training.schedule import Schedule

SECONDS = st.decimals(0, 10_000, places=3)
CADENCE = st.integers(1, 150)
TINY = Decimal("1e-15")


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    batch_size, accumulation = draw(st.integers(1, 40)), draw(st.integers(1, 5))
    return Schedule(
        samples=draw(st.integers(batch_size * accumulation, 3000)),
        batch_size=batch_size,
        gradient_accumulation=accumulation,
        max_steps=draw(st.integers(1, 2000)),
        validation_every=draw(CADENCE),
        checkpoint_every=draw(CADENCE),
    )


@st.composite
def inputs(draw: st.DrawFn) -> EstimateInput:
    schedule = draw(schedules())
    return EstimateInput(
        samples=schedule.samples,
        batch_size=schedule.batch_size,
        gradient_accumulation=schedule.gradient_accumulation,
        max_steps=schedule.max_steps,
        steps=draw(st.none() | st.integers(1, schedule.max_steps)),
        validation_every=schedule.validation_every,
        checkpoint_every=schedule.checkpoint_every,
        seconds_per_step=draw(st.decimals("0.001", 10_000, places=3)),
        seconds_per_validation=draw(SECONDS),
        checkpoint_seconds=draw(SECONDS),
        setup_seconds=draw(SECONDS),
        teardown_seconds=draw(SECONDS),
        price=Price(draw(st.decimals(0, 100, places=4))),
        checkpoint_bytes=draw(st.integers(0, 10**9)),
        keep_last=draw(st.integers(1, 30)),
        patience=draw(st.none() | st.integers(1, 20)),
    )


@given(inputs(), st.data())
def test_cost_never_falls_with_steps(run: EstimateInput, data: st.DataObject) -> None:
    fewer = data.draw(st.integers(0, run.max_steps - 1))
    more = data.draw(st.integers(fewer + 1, run.max_steps))
    assert run.bill(fewer).total_seconds < run.bill(more).total_seconds
    assert run.bill(fewer).cost_usd <= run.bill(more).cost_usd


@given(inputs())
def test_expected_and_earliest_never_cost_more_than_the_worst(run: EstimateInput) -> None:
    result = estimate(run)
    assert result.expected.cost_usd <= result.worst.cost_usd
    assert result.earliest.cost_usd <= result.worst.cost_usd
    assert result.saving.usd >= 0


@given(inputs())
def test_the_parts_sum_to_the_whole(run: EstimateInput) -> None:
    bill = run.bill(run.stop_step)
    assert sum(bill.durations) == bill.total_seconds
    rate = bill.price.hourly_rate_usd
    assert abs(sum(cost_usd(part, rate) for part in bill.durations) - bill.cost_usd) < TINY


@given(inputs(), st.data())
def test_a_run_in_two_halves_takes_as_long(run: EstimateInput, data: st.DataObject) -> None:
    """Both halves pay set-up and teardown, and the cadences go on where the first half stopped."""
    every = run.checkpoint_every  # the first half ends with a checkpoint that the whole has, too
    split = data.draw(st.integers(0, run.max_steps // every)) * every
    whole, first = run.durations(run.max_steps), run.durations(split)
    schedule = run.schedule
    steps = range(split + 1, run.max_steps + 1)
    rest = (
        len(steps) * Decimal(str(run.seconds_per_step))
        + sum(map(schedule.is_validation, steps)) * Decimal(str(run.seconds_per_validation))
        + sum(schedule.is_checkpoint(step) or step == run.max_steps for step in steps)
        * Decimal(str(run.checkpoint_seconds))
    )
    assert first.total_seconds + rest == whole.total_seconds


@given(inputs())
def test_the_saving_is_the_difference_of_two_bills(run: EstimateInput) -> None:
    result = estimate(run)
    difference = result.worst.cost_usd - result.expected.cost_usd
    assert abs(result.saving.usd - difference) < TINY
    assert result.saving.training_seconds <= result.saving.seconds


@given(inputs())
def test_the_last_multiples_and_the_end_are_kept(run: EstimateInput) -> None:
    storage, end = estimate(run).storage, run.stop_step
    saved = [s for s in range(1, end + 1) if s % run.checkpoint_every == 0 or s == end]
    assert list(storage.kept_steps) == saved[-run.keep_last :]
    assert storage.written == len(saved)
    assert storage.removed + len(storage.kept_steps) == storage.written
    assert storage.bytes_at_end <= storage.bytes_at_peak <= storage.bytes_with_best
    assert storage.bytes_with_best <= storage.bytes_without_rotation


@given(schedules(), st.data())
def test_the_table_of_epochs_covers_every_step_once(
    schedule: Schedule, data: st.DataObject
) -> None:
    steps = data.draw(st.integers(0, schedule.max_steps))
    table = schedule.epoch_table(steps)
    covered = [s for row in table for s in range(row.first_step, row.last_step + 1)]
    assert covered == list(range(1, steps + 1))
    assert [row.number for row in table] == list(range(1, len(table) + 1))
    assert [row.number for row in table if row.partial] == (
        [len(table)] if steps % schedule.steps_per_epoch else []
    )
    assert sum(row.steps for row in table) == steps


@given(schedules(), st.data())
def test_samples_seen_is_the_sum_of_the_batches(schedule: Schedule, data: st.DataObject) -> None:
    """A batch is what `position` cuts out of an epoch's order, as the trainer does."""
    steps = data.draw(st.integers(0, min(schedule.max_steps, 300)))
    order = range(schedule.samples)
    seen = 0
    for step in range(steps):
        epoch, step_in_epoch = schedule.position(step)
        assert epoch * schedule.steps_per_epoch + step_in_epoch == step
        start = step_in_epoch * schedule.samples_per_step
        batch = order[start : start + schedule.samples_per_step]
        assert batch
        seen += len(batch)
    assert schedule.samples_seen(steps) == seen


def stops_by_the_text(values: list[float], patience: int) -> tuple[int | None, int | None]:
    """The rule as the reference run's user wrote it: (check that stops, check of the best)."""
    best_loss, best_check, patience_counter = math.inf, None, 0
    for check, current_loss in enumerate(values):
        if current_loss < best_loss:
            best_loss, best_check, patience_counter = current_loss, check, 0
        else:
            patience_counter += 1
        if patience_counter >= patience:
            return check, best_check
    return None, best_check


FEW_VALUES = st.sampled_from([1.0, 1.5, 2.0, 2.5, math.nan, math.inf])
LOSSES = st.lists(FEW_VALUES | st.floats(-1e6, 1e6), max_size=60)


@given(LOSSES, st.integers(1, 8), st.sampled_from(["min", "max"]))
def test_the_rule_is_the_one_of_the_text(values: list[float], patience: int, mode: Mode) -> None:
    rule = EarlyStopping(mode=mode, patience=patience)
    sign = 1 if mode == "min" else -1
    progress, stopped = rule.start(), None
    for check, value in enumerate(values):
        progress = rule.check(progress, check, sign * value)
        if rule.should_stop(progress):
            stopped = check
            break
    assert (stopped, progress.best_step) == stops_by_the_text(values, patience)


@given(LOSSES, st.integers(1, 8), st.integers(1, 500))
def test_finite_losses_cannot_stop_it_before_the_earliest_step(
    values: list[float], patience: int, every: int
) -> None:
    rule = EarlyStopping(patience=patience)
    progress = rule.start()
    for check, value in enumerate(filter(math.isfinite, values), start=1):
        progress = rule.check(progress, check * every, value)
        if rule.should_stop(progress):
            assert check * every >= rule.earliest_stop_step(every)
            return


@given(schedules(), st.lists(st.floats(0, 1e4), max_size=30), st.integers(0, 2500))
def test_an_eta_is_never_negative(schedule: Schedule, spent: list[float], step: int) -> None:
    meter = EtaMeter(warmup_steps=3)
    for seconds in spent:
        meter = meter.after_step(seconds).after_check(seconds).after_save(seconds)
    eta = meter.eta_seconds(schedule, step)
    assert eta is None or eta >= 0
    cost = cost_to_finish_usd(eta, Decimal("1.2"))
    assert cost is None or cost >= 0
    if eta is not None and step >= schedule.max_steps:
        assert eta == 0


@given(inputs(), st.data())
def test_a_measured_pace_gives_back_the_bill(run: EstimateInput, data: st.DataObject) -> None:
    """The ETA at a step is what the bill has left for training, validation and checkpoints; a bill
    of a run that ends between two checkpoints has one at its end."""
    step = data.draw(st.integers(0, run.max_steps))
    meter = EtaMeter(warmup_steps=0).after_step(float(run.seconds_per_step))
    meter = meter.after_check(float(run.seconds_per_validation))
    meter = meter.after_save(float(run.checkpoint_seconds))
    left = float(run.durations(run.max_steps).total_seconds - run.durations(step).total_seconds)
    if step % run.schedule.checkpoint_every and step < run.max_steps:
        left += float(run.checkpoint_seconds)
    eta = meter.eta_seconds(run.schedule, step)
    assert eta is not None
    assert math.isclose(eta, left, abs_tol=1e-6)
