"""What an hour of a market cost, over the time in which it was used."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from fintts_cost.spot.history import PriceChange, mean_rate
from run_samples import START

HOUR = timedelta(hours=1)


def change(hours: float, usd: str, zone: str = "a") -> PriceChange:
    return PriceChange(START + hours * HOUR, Decimal(usd), zone)


@pytest.mark.parametrize(
    ("changes", "mean"),
    [
        ([change(-5, "2")], "2"),
        ([change(0, "2")], "2"),
        ([change(1, "4"), change(-5, "2")], "3"),  # the newest first, as EC2 answers
        ([change(-5, "1"), change(-1, "2"), change(1.5, "6")], "3"),
        ([change(-5, "2"), change(7, "9")], "2"),
        ([change(-5, "2"), change(-5, "3", "b")], "3"),
        ([change(1, "4")], None),
        ([change(-5, "2"), change(1, "1", "b")], None),
        ([], None),
    ],
)
def test_the_mean_over_two_hours(changes: list[PriceChange], mean: str | None) -> None:
    found = mean_rate(changes, START, START + 2 * HOUR)
    assert found == (None if mean is None else Decimal(mean))


def test_no_time_has_no_mean() -> None:
    assert mean_rate([change(-1, "2")], START, START) is None
