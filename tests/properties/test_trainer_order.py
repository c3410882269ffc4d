"""Order, buckets, micro-batches and shares, for any data set."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fintts_cost.training.schedule import Schedule
from fintts_trainer.data.batches import cut
from fintts_trainer.data.order import (
    FEWEST_WINDOWS,
    WINDOW_STEPS,
    Order,
    Samples,
    bucketed_order_of_epoch,
    order_of_epoch,
    share_of_step,
)

seeds, epochs = st.integers(0, 2**32 - 1), st.integers(0, 10_000)
all_lengths = st.lists(st.integers(1, 4096), min_size=1, max_size=300).map(np.array)


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Schedule, Samples]:
    """A schedule, and the lengths of its samples."""
    lengths = draw(all_lengths)
    batch_size = draw(st.integers(1, min(16, len(lengths))))
    accumulation = draw(st.integers(1, len(lengths) // batch_size))
    return Schedule(len(lengths), batch_size, accumulation), lengths


@given(seeds, epochs, st.integers(1, 300))
def test_an_epoch_visits_each_sample_once(seed: int, epoch: int, samples: int) -> None:
    assert sorted(order_of_epoch(seed, epoch, samples)) == list(range(samples))


@given(seeds, st.integers(0, 50), schedules(), st.booleans())
def test_the_steps_of_an_epoch_read_each_sample_once(
    seed: int, epoch: int, scheduled: tuple[Schedule, Samples], is_bucketed: bool
) -> None:
    schedule, lengths = scheduled
    order = Order(schedule, seed, lengths if is_bucketed else None)
    first = epoch * schedule.steps_per_epoch
    steps = [order.samples_of_step(first + step) for step in range(schedule.steps_per_epoch)]
    assert sorted(np.concatenate(steps)) == list(range(schedule.samples))
    assert {len(samples) for samples in steps[:-1]} <= {schedule.samples_per_step}
    seen = schedule.samples_seen(first + 1) - schedule.samples_seen(first)
    assert len(steps[0]) == seen, "the estimate counts the same samples"


@given(seeds, schedules(), st.lists(st.integers(0, 400), max_size=8), st.integers(0, 400))
def test_what_a_step_reads_depends_on_no_step_before_it(
    seed: int, scheduled: tuple[Schedule, Samples], before: list[int], step: int
) -> None:
    schedule, lengths = scheduled
    resumed = Order(schedule, seed, lengths)
    straight = Order(schedule, seed, lengths)
    for other in before:
        straight.samples_of_step(other)
    np.random.default_rng(5).permutation(100)
    assert straight.samples_of_step(step).tolist() == resumed.samples_of_step(step).tolist()


@given(seeds, epochs)
def test_another_seed_or_epoch_is_another_order(seed: int, epoch: int) -> None:
    lengths = np.arange(200) % 17
    orders = [
        tuple(bucketed_order_of_epoch(*key, lengths, 4))
        for key in ((seed, epoch), (seed, epoch + 1), ((seed + 1) % 2**32, epoch))
    ]
    assert len(set(orders)) == 3


@given(seeds, epochs, all_lengths, st.integers(1, 8))
def test_steps_are_those_of_windows_sorted_by_length(
    seed: int, epoch: int, lengths: Samples, step_size: int
) -> None:
    steps = len(lengths) // step_size
    window = step_size * min(WINDOW_STEPS, max(1, steps // FEWEST_WINDOWS))
    whole = steps * step_size
    plain = order_of_epoch(seed, epoch, len(lengths))
    expected = [
        tuple(sorted(plain[start : min(start + window, whole)], key=lambda s: int(lengths[s])))
        for start in range(0, whole, window)
    ]
    cut_up = [w[i : i + step_size] for w in expected for i in range(0, len(w), step_size)]
    order = bucketed_order_of_epoch(seed, epoch, lengths, step_size)
    got = [tuple(order[i : i + step_size]) for i in range(0, whole, step_size)]
    assert sorted(got) == sorted(cut_up)
    assert order[whole:].tolist() == plain[whole:].tolist()


@given(seeds, epochs)
def test_long_and_short_steps_are_mixed(seed: int, epoch: int) -> None:
    lengths = np.arange(1000)
    firsts = lengths[bucketed_order_of_epoch(seed, epoch, lengths, 5)][::5]
    rises = int((np.diff(firsts) > 0).sum())
    assert 50 < rises < 150, "about half of the 199, and not all but those between windows"


@given(all_lengths, st.integers(1, 16), st.one_of(st.none(), st.integers(1, 20_000)))
def test_micro_batches_hold_each_sample_once_and_stay_within_the_budget(
    lengths: Samples, batch_size: int, tokens: int | None
) -> None:
    parts = cut(lengths, batch_size, tokens)
    assert sorted(np.concatenate(parts)) == list(range(len(lengths)))
    for part in parts:
        if tokens is None:
            assert len(part) <= batch_size
        else:
            assert len(part) * lengths[part].max() <= tokens or len(part) == 1


@given(st.lists(st.integers(), max_size=40), st.integers(1, 16))
def test_the_shares_of_all_processes_are_the_step(samples: list[int], world: int) -> None:
    shares = [share_of_step(np.array(samples), rank, world) for rank in range(world)]
    assert sorted(np.concatenate(shares)) == sorted(samples)
    sizes = {len(share) for share in shares}
    assert max(sizes) - min(sizes) <= 1
