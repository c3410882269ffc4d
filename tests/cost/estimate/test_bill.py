"""The bill: its parts, its scenarios, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from fintts_cost.errors import CostError, EstimateError
from fintts_cost.estimate.document import document
from fintts_cost.estimate.inputs import EstimateInput
from fintts_cost.estimate.result import estimate
from fintts_cost.money import Price, affordable_seconds, cost_usd

RUN = EstimateInput(samples=100, seconds_per_step=2, price=Price(Decimal("3.6")), max_steps=1000)


def test_setup_teardown_and_saves_are_billed() -> None:
    run = replace(
        RUN,
        setup_seconds=90,
        teardown_seconds=30,
        seconds_per_validation=4,
        checkpoint_seconds=Decimal("0.1"),
    )
    bill = run.bill(1000)
    assert bill.durations == tuple(map(Decimal, ("90", "2000", "40", "1", "30", "0", "0")))
    assert bill.total_seconds == 2161
    assert bill.cost_usd == Decimal("2.161")
    assert bill.cost_usd_to_cent == Decimal("2.16")


def test_what_a_run_speaks_is_billed_at_its_limit() -> None:
    run = replace(RUN, samples_every=3, seconds_per_samples=20)
    assert (run.times_spoken(1000), run.times_spoken(100)) == (1 + 10 // 3, 1)
    assert run.bill(1000).durations.samples_seconds == 4 * 20
    assert run.bill(1000).total_seconds == RUN.bill(1000).total_seconds + 80
    assert RUN.times_spoken(1000) == 0


def test_only_cost_usd_is_rounded_to_the_cent() -> None:
    made = document(estimate(replace(RUN, seconds_per_step=Decimal("2.1234"), steps=700)))
    scenarios, stopping = made["scenarios"], made["early_stopping"]
    assert made["cost_usd"] == 1.49
    assert made["cost_per_unique_sample_usd"] == 0.0148638
    assert isinstance(scenarios, dict)
    assert scenarios["worst"] == {
        "stop_step": 1000,
        "total_seconds": 2123.4,
        "cost_usd": 2.12,
    }
    assert isinstance(stopping, dict)
    assert stopping["saved_usd"] == 0.63702


def test_without_steps_the_run_is_expected_to_go_to_max_steps() -> None:
    result = estimate(RUN)
    assert result.expected == result.worst
    assert result.saving.usd == 0


def test_the_earliest_stop_is_capped_at_max_steps() -> None:
    assert estimate(RUN).earliest.stop_step == 600
    assert estimate(replace(RUN, max_steps=500)).earliest.stop_step == 500


def test_without_early_stopping_nothing_ends_sooner_than_expected() -> None:
    result = estimate(replace(RUN, patience=None, steps=700))
    assert (result.earliest.stop_step, result.worst.stop_step) == (700, 1000)
    assert not result.keep_last_alone_loses_best
    stopping = document(result)["early_stopping"]
    assert isinstance(stopping, dict)
    assert stopping["patience"] is None


def test_a_machine_that_costs_nothing() -> None:
    result = estimate(replace(RUN, price=Price(Decimal(0))))
    assert document(result)["cost_usd"] == 0.0
    assert affordable_seconds(Decimal(5), Decimal(0)) is None


def test_a_budget_buys_time() -> None:
    seconds = affordable_seconds(Decimal("5.32"), Decimal("1.20"))
    assert seconds == 15960
    assert cost_usd(seconds, Decimal("1.20")) == Decimal("5.32")


def test_the_price_keeps_its_origin() -> None:
    catalog = Price(Decimal("3.6"), "catalog", "2026-08-01")
    made = document(estimate(replace(RUN, price=catalog)))
    assert made["price"] == {"source": "catalog", "as_of": "2026-08-01"}
    assert made["memory"] is None
    assert made["uniform_guess"] == {}


def test_a_run_that_ends_before_its_first_checkpoint_saves_at_its_end() -> None:
    storage = estimate(replace(RUN, max_steps=50)).storage
    assert (storage.written, storage.removed, list(storage.kept_steps)) == (1, 0, [50])
    assert storage.bytes_at_peak == storage.bytes_each


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"seconds_per_step": 0}, "--seconds-per-step must be above 0, but is 0"),
        ({"seconds_per_step": -5.4}, "--seconds-per-step must be above 0, but is -5.4"),
        ({"seconds_per_step": math.nan}, "--seconds-per-step must be a finite number, but is nan"),
        ({"seconds_per_step": 1e30}, "--seconds-per-step must be at most 1,000,000,000"),
        ({"seconds_per_validation": -1}, "--seconds-per-validation must be at least 0, but is -1"),
        ({"checkpoint_seconds": -1}, "--checkpoint-seconds must be at least 0, but is -1"),
        ({"setup_seconds": math.inf}, "--setup-seconds must be a finite number, but is inf"),
        ({"teardown_seconds": -1}, "--teardown-seconds must be at least 0, but is -1"),
        ({"price": Price(Decimal("-1.2"))}, "--hourly-rate must be at least 0, but is -1.2"),
        ({"price": Price(Decimal("NaN"))}, "--hourly-rate must be a finite number"),
        ({"price": Price(Decimal(10**9))}, "--hourly-rate must be at most 1,000,000"),
        ({"checkpoint_bytes": -1}, "--checkpoint-bytes must be at least 0, but is -1"),
        ({"keep_last": 0}, "--keep-last must be at least 1, but is 0"),
        ({"keep_last": 10**6}, "--keep-last must be at most 100,000, but is 1,000,000"),
        ({"patience": 0}, "--patience must be at least 1, but is 0"),
        ({"steps": 0}, "--steps must be at least 1, but is 0"),
        ({"steps": 1001}, "--steps 1,001 is beyond --max-steps 1,000"),
        ({"batch_size": 101}, "--batch-size is 101 samples, more than the 100 in the data set"),
        ({"samples": 0}, "--samples must be at least 1, but is 0"),
    ],
)
def test_absurd_input_gets_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CostError) as caught:
        replace(RUN, **fields)
    assert caught.value.message.startswith(sentence)
    assert not caught.value.message.endswith(".")
    assert caught.value.hint


def test_errors_are_of_one_tree() -> None:
    assert issubclass(EstimateError, CostError)
    assert issubclass(CostError, ValueError)
