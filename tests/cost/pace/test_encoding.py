"""The time of encoding, and what it does to a bill."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fintts_cost.errors import EstimateError
from fintts_cost.estimate.document import document
from fintts_cost.estimate.inputs import EstimateInput
from fintts_cost.estimate.result import estimate
from fintts_cost.gpus.accelerators import ACCELERATORS, find
from fintts_cost.interval import Interval
from fintts_cost.money import Price
from fintts_cost.pace.encoding import seconds_as_measured, seconds_of_encoding
from fintts_cost.plan.candidate import Candidate
from fintts_cost.plan.reach import generous_seconds, seconds_to

PRICE = Price(Decimal("3.60"), "option")


def given(
    encoding: Interval, fast: float | None = None, slow: float | None = None
) -> EstimateInput:
    return EstimateInput(
        samples=100,
        seconds_per_step=1,
        price=PRICE,
        max_steps=100,
        patience=None,
        encoding=encoding,
        speech_seconds=3600.0,
        fast_seconds_per_step=fast,
        slow_seconds_per_step=slow,
    )


def test_a_faster_gpu_takes_less_and_ten_hours_take_ten_times_one() -> None:
    slow, fast = (seconds_of_encoding(3600, find(name)) for name in ("A100", "H100-SXM"))
    assert all(a > b for a, b in zip(slow, fast, strict=True))
    assert slow.low < slow.likely < slow.high
    assert slow.likely == pytest.approx(3600 * 78e9 / (0.3 * 19.5e12))
    assert seconds_of_encoding(36_000, find("A100")) == pytest.approx(slow.times(10))
    assert seconds_of_encoding(3600, None).likely > slow.likely
    assert len(ACCELERATORS) == len([one for one in ACCELERATORS.values() if one.fp32_tflops > 1])


def test_a_measured_run_narrows_the_range() -> None:
    low, likely, high = seconds_as_measured(3600, 0.01)
    assert likely == pytest.approx(36)
    assert low < likely < high < 50


@pytest.mark.parametrize("ends", [(None, None), (0.5, 2.0)])
def test_it_is_billed_planned_and_told(ends: tuple[float | None, float | None]) -> None:
    without, with_it = given(Interval.exactly(0.0), *ends), given(Interval(50, 100, 400), *ends)
    made = estimate(with_it)
    assert made.expected.cost_usd - estimate(without).expected.cost_usd == Decimal("0.1")
    low, likely, high = Candidate("A100:1", made).outlook.seconds
    base = Candidate("A100:1", estimate(without)).outlook.seconds
    assert (low - base.low, likely - base.likely, high - base.high) == (50, 100, 400)
    assert generous_seconds(with_it) - generous_seconds(without) == 600
    assert seconds_to(with_it, 1) - seconds_to(without, 1) == 100
    told = document(made)
    assert told["encoding_seconds"] == 100
    assert told["encoding"] == {
        "speech_seconds": 3600.0,
        "seconds": {"low": 50, "likely": 100, "high": 400},
        "cost_usd": {"low": 0.05, "likely": 0.1, "high": 0.4},
        "source": "",
    }
    assert document(estimate(without))["encoding"] is None


def test_nonsense_is_refused() -> None:
    for bad in (-1.0, float("nan"), 1e30):
        with pytest.raises(EstimateError, match="encoding"):
            given(Interval(0, 0, bad))
