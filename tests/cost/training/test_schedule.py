"""Steps, epochs and cadences."""

from __future__ import annotations

import pytest

from fintts_cost.errors import ScheduleError
from fintts_cost.training.schedule import EpochRow, Schedule

SMALL = Schedule(samples=10, batch_size=2, gradient_accumulation=2, max_steps=9)
"""3 steps an epoch: 4 + 4 + 2 samples."""


def test_accumulation_makes_a_step_of_several_micro_batches() -> None:
    assert SMALL.samples_per_step == 4
    assert SMALL.steps_per_epoch == 3


def test_the_last_step_of_an_epoch_counts_as_it_is() -> None:
    assert [SMALL.samples_seen(step) for step in range(7)] == [0, 4, 8, 10, 14, 18, 20]


def test_positions_count_from_zero() -> None:
    assert [SMALL.position(step) for step in (0, 2, 3, 7)] == [(0, 0), (0, 2), (1, 0), (2, 1)]


def test_cadences_begin_at_their_first_multiple() -> None:
    schedule = Schedule(samples=100, max_steps=30, validation_every=10, checkpoint_every=15)
    assert [step for step in range(31) if schedule.is_validation(step)] == [10, 20, 30]
    assert [step for step in range(31) if schedule.is_checkpoint(step)] == [15, 30]
    assert schedule.checkpoints(30) == 2
    assert list(schedule.last_checkpoints(30, 5)) == [15, 30]
    assert list(schedule.last_checkpoints(29, 5)) == [15, 29], "a run ends with a checkpoint"
    assert list(schedule.last_checkpoints(29, 1)) == [29]
    assert schedule.checkpoints(0) == 0
    assert schedule.validation_checks(29) == 2


def test_an_epoch_that_ends_with_the_run_is_whole() -> None:
    assert SMALL.epoch_table(3) == [EpochRow(1, 1, 3, partial=False)]
    assert SMALL.epoch_table(4)[-1] == EpochRow(2, 4, 4, partial=True)
    assert SMALL.epoch_table(0) == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"samples": 0}, "--samples must be at least 1, but is 0"),
        ({"batch_size": 0}, "--batch-size must be at least 1, but is 0"),
        ({"gradient_accumulation": -2}, "--gradient-accumulation must be at least 1, but is -2"),
        ({"max_steps": 0}, "--max-steps must be at least 1, but is 0"),
        ({"max_steps": 10**12}, "--max-steps must be at most 1,000,000,000"),
        ({"validation_every": 0}, "--validation-every must be at least 1, but is 0"),
        ({"checkpoint_every": 0}, "--checkpoint-every must be at least 1, but is 0"),
        ({"batch_size": 101}, "--batch-size is 101 samples, more than the 100 in the data set"),
        (
            {"batch_size": 8, "gradient_accumulation": 16},
            "--batch-size 8 × --gradient-accumulation 16 is 128 samples, more than the 100",
        ),
    ],
)
def test_a_schedule_that_cannot_be_followed(fields: dict[str, int], sentence: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Schedule(**{"samples": 100, **fields})
    assert caught.value.message.startswith(sentence)
    assert caught.value.hint


def test_a_step_may_take_the_whole_data_set() -> None:
    assert Schedule(samples=8, batch_size=8).steps_per_epoch == 1
