"""The reference run's tables, against what its user wrote down."""

from __future__ import annotations

import pytest

from fintts_cost.reference.tables import examples, gpu_use, stopping_table, timeline

CLOCKS = {0: "13:04", 100: "13:13", 200: "13:23", 1100: "14:48", 1500: "15:26", 2800: "17:30"}
"""the account's own until step 1,500 within a minute; it then loses two"""


def test_the_clock_counts_steps_and_checks() -> None:
    shown = {each.step: f"{each.clock:%H:%M}" for each in timeline()}
    assert {step: shown[step] for step in CLOCKS} == CLOCKS
    assert [each.step for each in timeline() if each.checkpoint == "kept"] == [
        *(2400, 2500, 2600, 2700, 2800)
    ]


def test_the_rule_stops_at_3300_with_the_best_at_2800() -> None:
    rows = stopping_table()
    assert [each.waiting for each in rows] == [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert [each.step for each in rows if each.stops] == [3300]
    assert rows[-1].best == 13.0
    assert next(each.step for each in rows if not each.is_measured) == 2900


def test_a_loss_is_minus_the_logarithm_of_a_probability() -> None:
    losses = {each.name: each.loss for each in examples()}
    assert losses["p = 0.9"] == pytest.approx(0.105, abs=5e-4)
    assert losses["p = 0.1"] == pytest.approx(2.303, abs=5e-4)
    probabilities = {each.name: each.probability for each in examples()}
    assert probabilities["step 0"] == pytest.approx(1e-10, rel=0.03)
    assert probabilities["step 2,800"] == pytest.approx(2.3e-6, rel=0.02)


def test_the_gpu_was_busy_while_training() -> None:
    use = gpu_use()
    assert use.mean_share == pytest.approx((15120 + 0.8 * 840) / 15960)
    assert use.memory_share == pytest.approx(55 / 80)
