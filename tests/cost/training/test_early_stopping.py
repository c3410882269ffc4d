"""The rule on which estimate and trainer agree."""

from __future__ import annotations

import json
import math

import pytest

from fintts_cost.errors import EarlyStoppingError
from fintts_cost.training.early_stopping import EarlyStopping, Progress


def test_equal_is_no_improvement() -> None:
    rule = EarlyStopping(patience=2)
    progress = rule.check(rule.start(), 100, 1.0)
    progress = rule.check(progress, 200, 1.0)
    assert progress == Progress(1.0, 100, checks_without_improvement=1, checks=2, counted_value=1.0)


def test_an_improvement_sets_the_count_back() -> None:
    rule = EarlyStopping(patience=2)
    progress = rule.start()
    for step, value in enumerate([3.0, 4.0, 2.0, 5.0], start=1):
        progress = rule.check(progress, step, value)
        assert not rule.should_stop(progress)
    progress = rule.check(progress, 5, 6.0)
    assert rule.should_stop(progress)
    assert (progress.best_step, progress.best_value) == (3, 2.0)


def test_max_watches_for_larger_values() -> None:
    rule = EarlyStopping(mode="max", patience=1)
    progress = rule.check(rule.check(rule.start(), 1, 0.2), 2, 0.3)
    assert progress.best_value == 0.3
    assert rule.should_stop(rule.check(progress, 3, 0.25))


def test_min_delta_must_be_exceeded() -> None:
    rule = EarlyStopping(min_delta=0.5)
    assert not rule.improves(9.5, 10.0)
    assert rule.improves(9.4, 10.0)


def test_a_gain_within_min_delta_is_the_best_and_does_not_count() -> None:
    rule = EarlyStopping(min_delta=0.5, patience=2)
    progress = rule.check(rule.check(rule.start(), 100, 10.0), 200, 9.8)
    assert progress == Progress(9.8, 200, 1, 2, counted_value=10.0)
    assert rule.should_stop(rule.check(progress, 300, 9.7))


def test_small_gains_count_once_they_add_up() -> None:
    rule = EarlyStopping(min_delta=0.5, patience=2)
    progress = rule.start()
    for step, value in enumerate([10.0, 9.7, 9.4, 9.1, 8.8], start=1):
        progress = rule.check(progress, step, value)
        assert not rule.should_stop(progress)
    assert progress == Progress(8.8, 5, 0, 5, counted_value=8.8)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_improvement(value: float) -> None:
    for rule in (EarlyStopping(patience=1), EarlyStopping(mode="max", patience=1)):
        progress = rule.check(rule.start(), 100, value)
        assert progress == Progress(None, None, checks_without_improvement=1, checks=1)
        assert rule.should_stop(progress)


def test_the_best_cannot_fire_before_patience_checks_have_followed_it() -> None:
    assert EarlyStopping(patience=5).earliest_stop_step(100) == 600


def test_progress_goes_through_json() -> None:
    progress = Progress(1 / 3, 200, 1, 2, counted_value=0.35)
    assert Progress.from_dict(json.loads(json.dumps(progress.to_dict()))) == progress
    assert Progress.from_dict(Progress.start().to_dict()) == Progress.start()


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"checks": -1, "checks_without_improvement": 0},
        {"checks": 1, "checks_without_improvement": "0"},
        {"checks": 1, "checks_without_improvement": 0, "best_value": math.nan},
        {"checks": 1, "checks_without_improvement": 0, "best_value": 1.0, "best_step": 0.5},
        {"checks": 1, "checks_without_improvement": 0, "counted_value": "1.0"},
    ],
)
def test_a_damaged_progress_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(EarlyStoppingError, match="early-stopping state"):
        Progress.from_dict(content)


@pytest.mark.parametrize(
    ("patience", "min_delta", "word"),
    [
        (0, 0.0, "--patience"),
        (-1, 0.0, "--patience"),
        (5, -0.1, "min_delta"),
        (5, math.nan, "min_delta"),
        (5, math.inf, "min_delta"),
    ],
)
def test_a_rule_that_cannot_be_obeyed(patience: int, min_delta: float, word: str) -> None:
    with pytest.raises(EarlyStoppingError, match=word) as caught:
        EarlyStopping(patience=patience, min_delta=min_delta)
    assert caught.value.hint
