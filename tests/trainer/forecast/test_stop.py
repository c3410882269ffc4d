"""The forecast of the stop: it holds what it says, and takes any curve."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fintts_cost.training.early_stopping import EarlyStopping, Progress
from fintts_trainer.forecast.stop import Cadence, StopSteps, forecast_stop
from simulated_curves import FALLING, FAMILIES, simulate_many

RULE = EarlyStopping()


def progress_after(rule: EarlyStopping, values: list[float]) -> Progress:
    progress = rule.start()
    for check, value in enumerate(values, 1):
        progress = rule.check(progress, check * 100, value)
    return progress


def forecast(
    values: list[float], rule: EarlyStopping = RULE, max_steps: int = 3000, seed: int = 0
) -> StopSteps | None:
    cadence = Cadence(len(values) * 100, 100, max_steps)
    return forecast_stop(rule, progress_after(rule, values), values, cadence, seed=seed)


def test_the_same_seed_gives_the_same_forecast() -> None:
    assert forecast(FALLING) == forecast(FALLING)
    assert forecast(FALLING) != forecast(FALLING, seed=1)


def test_the_interval_holds_most_ends_of_simulated_runs() -> None:
    """Far from a measurement, which benchmarks/forecast.py is, but it fails without a forecast."""
    held: list[bool] = []
    for curve in simulate_many(tuple(FAMILIES), 40, 30, seed=5):
        values = curve.values.tolist()
        if RULE.should_stop(progress_after(RULE, values[:8])):
            continue
        found = forecast(values[:8])
        assert found is not None
        ends = (n for n in range(1, 31) if RULE.should_stop(progress_after(RULE, values[:n])))
        held.append(found.low <= 100 * next(ends, 30) <= found.high)
    assert 0.65 <= np.mean(held) <= 0.97


def test_a_curve_that_falls_on_outlasts_one_that_has_turned() -> None:
    turned = [5.0, 4.0, 3.5, 3.4, 3.6, 3.8, 4.1]
    falling, rising = forecast([5.0 - 0.3 * n for n in range(8)]), forecast(turned)
    assert falling is not None
    assert rising is not None
    assert (rising.low, rising.likely) == (900, 900)
    assert falling.low > 1500
    assert falling.improvement > 10 * rising.improvement


def test_a_monitor_that_rises_is_forecast_as_one_that_falls() -> None:
    upside_down = [-value for value in FALLING]
    assert forecast(upside_down, EarlyStopping(mode="max")) == forecast(FALLING)


def test_a_larger_min_delta_ends_a_run_sooner() -> None:
    small, large = forecast(FALLING), forecast(FALLING, EarlyStopping(min_delta=0.2))
    assert small is not None
    assert large is not None
    assert large.likely < small.likely


def test_units_do_not_matter() -> None:
    plain, scaled = forecast(FALLING), forecast([1000 * value + 7 for value in FALLING])
    assert plain is not None
    assert scaled is not None
    assert scaled[:3] == plain[:3]
    assert scaled.improvement == pytest.approx(1000 * plain.improvement, rel=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [5.0],
        [5.0, 4.0],
        [math.nan] * 4,
        [5.0, math.nan, math.inf, 4.0],
        [5.0, 5.1, 5.2, 5.3, 5.4, 5.5],
        [1.5e308, -1.5e308, 0.0],
    ],
    ids=["none", "one", "two", "nothing finite", "two finite", "the rule has fired", "too large"],
)
def test_too_little_is_no_forecast(values: list[float]) -> None:
    assert forecast(values) is None


@pytest.mark.parametrize("values", [[1e308, 1e307, 1e306, 0.0], [1e-320] * 3 + [0.0], [5.0] * 4])
def test_values_of_any_size_are_forecast(values: list[float]) -> None:
    found = forecast(values)
    assert found is not None
    assert math.isfinite(found.improvement)


def test_checks_that_are_not_finite_are_gaps_and_still_count_against_patience() -> None:
    found = forecast([*FALLING, math.nan, math.nan, math.nan, math.nan])
    assert found is not None
    assert found.low == 1300, "one more check without improvement ends it"


def test_no_check_is_left_and_the_run_gets_to_max_steps() -> None:
    found = forecast_stop(
        RULE, progress_after(RULE, FALLING), FALLING, Cadence(850, 100, 880), seed=0
    )
    assert found == StopSteps(880, 880, 880, 0.0)


def test_max_steps_between_two_checks_ends_a_run_that_never_stops() -> None:
    found = forecast([10.0 - n for n in range(8)], max_steps=1050)
    assert found is not None
    assert found[:3] == (1050, 1050, 1050)


def test_a_run_of_very_many_checks_is_forecast_in_bounded_time() -> None:
    values = np.linspace(5, 1, 20_000).tolist()
    progress = progress_after(RULE, values)
    cadence = Cadence(20_000, 1, 1_000_000_000)
    forecast_stop(RULE, progress, values, cadence)  # lays out the laws
    began = time.process_time()
    found = forecast_stop(RULE, progress, values, cadence)
    assert time.process_time() - began < 5, "bounded, however slow the machine"
    assert found is not None
    assert found.high == 1_000_000_000, "what is unknown counts upwards"


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(
        st.one_of(st.floats(-5, 5), st.floats(), st.sampled_from([0.0, 1.0])), max_size=14
    ),
    patience=st.integers(1, 20),
    min_delta=st.sampled_from([0.0, 0.1, 1e30]),
    max_steps=st.integers(1, 4000),
)
def test_any_curve_has_an_ordered_forecast_or_none(
    values: list[float], patience: int, min_delta: float, max_steps: int
) -> None:
    rule = EarlyStopping(patience=patience, min_delta=min_delta)
    found = forecast(values, rule, max(max_steps, 100 * len(values)))
    if found is not None:
        assert 100 * len(values) <= found.low <= found.likely <= found.high
        assert found.high <= max(max_steps, 100 * len(values))
        assert found.improvement >= 0
        assert math.isfinite(found.improvement)
