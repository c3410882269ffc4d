"""Why a run stopped, in words."""

import pytest

from fintts_cli.runs.status.stop_reason import SHORT, how_it_stopped, patience_of
from fintts_store.runs.records import StopReason


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (StopReason.MAX_STEPS, "completed all 220 steps"),
        (StopReason.EARLY_STOPPING, "stopped early at step 220: no improvement in 5 checks"),
        (StopReason.DEADLINE, "stopped at its deadline, at step 220"),
        (StopReason.REQUESTED, "stopped on request at step 220"),
        (StopReason.NAN_LOSS, "failed at step 220: the loss is NaN"),
        (StopReason.FAILED, "failed at step 220"),
    ],
)
def test_the_end_of_a_run_is_a_sentence(reason: StopReason, sentence: str) -> None:
    assert how_it_stopped(reason, 220, patience=5) == sentence


def test_every_reason_has_short_words() -> None:
    assert set(SHORT) == set(StopReason)


def test_what_is_not_known_is_left_out() -> None:
    assert how_it_stopped(StopReason.EARLY_STOPPING, 220) == "stopped early at step 220"
    told = how_it_stopped(StopReason.EARLY_STOPPING, 220, patience=1, max_steps=400)
    assert told == "stopped early at step 220 of 400: no improvement in 1 check"


@pytest.mark.parametrize(
    ("config", "patience"),
    [
        ({"early_stopping": {"patience": 5}}, 5),
        ({"early_stopping": {"patience": 5, "enabled": False}}, None),
        ({"early_stopping": []}, None),
        ({}, None),
    ],
)
def test_the_patience_is_that_of_the_record(
    config: dict[str, object], patience: int | None
) -> None:
    assert patience_of(config) == patience
