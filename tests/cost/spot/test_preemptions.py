"""What preemptions add to a run, and how often it should save."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from statistics import mean

import pytest

from fintts_cost.estimate.result import estimate
from fintts_cost.plan.outlook import outlook_of
from fintts_cost.reference.run import REFERENCE_RUN
from fintts_cost.spot.preemptions import (
    Interruption,
    best_checkpoint_every,
    best_interval_seconds,
    interval_remark,
    with_preemptions,
)

LOST = Interruption(rework_seconds=300.0, setup_seconds=600.0, waiting_seconds=120.0)


def simulated(random: Random, seconds: float, per_second: float) -> tuple[float, float]:
    """Billed and elapsed seconds of a run that is taken away at random."""
    billed = elapsed = 0.0
    left = seconds
    while True:
        lived = random.expovariate(per_second)
        if lived >= left:
            return billed + left, elapsed + left
        billed += lived
        elapsed += lived + LOST.waiting_seconds
        left += LOST.rework_seconds + LOST.setup_seconds - lived


def test_the_expected_time_is_that_of_simulated_runs() -> None:
    random, rate = Random(1), 1 / 7200
    runs = [simulated(random, 36_000, rate) for _ in range(4000)]
    found = with_preemptions(36_000, rate, LOST)
    assert found.billed_seconds == pytest.approx(mean(each[0] for each in runs), rel=0.02)
    assert found.seconds == pytest.approx(mean(each[1] for each in runs), rel=0.02)


def test_without_preemptions_nothing_is_added() -> None:
    assert with_preemptions(1000, 0.0, LOST) == (1000, 1000, 0)


def test_a_run_that_never_ends_has_a_finite_time() -> None:
    assert math.isfinite(with_preemptions(1000, 1.0, LOST).seconds)


def test_the_best_interval_loses_least() -> None:
    save, rate = 5.0, 1 / 36_000

    def loss(interval: float) -> float:
        return save / interval + rate * interval / 2

    best = best_interval_seconds(save, rate)
    assert best == 600.0
    assert loss(best) < min(loss(best * 0.9), loss(best * 1.1))


def test_a_far_off_interval_is_said() -> None:
    best = best_checkpoint_every(REFERENCE_RUN)
    assert interval_remark(replace(REFERENCE_RUN, checkpoint_every=best)) is None
    rare = interval_remark(replace(REFERENCE_RUN, checkpoint_every=3000))
    assert rare is not None
    assert f"about {best:,} would lose least" in rare
    often = replace(REFERENCE_RUN, seconds_per_step=0.01, checkpoint_every=1)
    assert "keeps training waiting" in (interval_remark(often) or "")


def test_an_outlook_is_in_order_and_dearer_on_spot() -> None:
    made = estimate(replace(REFERENCE_RUN, setup_seconds=600))
    here, there = outlook_of(made, spot=False), outlook_of(made, spot=True)
    assert here.usd.likely == pytest.approx(float(made.cost_usd))
    for spot, on_demand in zip(there, here, strict=True):
        assert spot.low <= spot.likely <= spot.high
        assert spot.likely > on_demand.likely
