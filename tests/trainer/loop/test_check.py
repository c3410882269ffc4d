"""What the log says of a validation check."""

from __future__ import annotations

import pytest

from fintts_cost.training.early_stopping import Progress
from fintts_inputs.config import EarlyStoppingConfig
from fintts_trainer.loop.check import check_summary


def progress(best_step: int, waiting: int) -> Progress:
    return Progress(best_step=best_step, best_value=4.0, checks_without_improvement=waiting)


@pytest.mark.parametrize(
    ("best_step", "waiting", "said"),
    [
        (300, 0, "the best so far"),
        (300, 2, "the best so far, by no more than min_delta 0.1, 2 of 5"),
        (100, 2, "no improvement, 2 of 5"),
    ],
)
def test_it_counts_towards_the_patience(best_step: int, waiting: int, said: str) -> None:
    config = EarlyStoppingConfig(patience=5, min_delta=0.1)
    assert check_summary(config, progress(best_step, waiting), 300) == said


def test_a_run_that_never_stops_early_has_no_patience() -> None:
    config = EarlyStoppingConfig(enabled=False, patience=5)
    assert check_summary(config, progress(100, 7), 300) == "no improvement, 7 in a row"
