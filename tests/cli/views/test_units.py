"""Amounts, durations, sizes and times of day, as they are shown."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from fintts_cli.views.units import counted, duration, size
from fintts_cost.money import dollars

SOURCES = ("cli", "inputs", "cost", "store", "remote_trainer", "task_templates")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("5.324", "$5.32"),
        ("0.01", "$0.01"),
        ("0.00996", "$0.01"),
        ("0.008", "$0.008"),
        ("0.0041234", "$0.0041"),
        ("0.0000000123", "$0.000000012"),
        ("0", "$0.00"),
        ("-0.001", "$0.00"),
        ("1234.5", "$1,234.50"),
    ],
)
def test_dollars_are_shown_to_the_cent_and_less_to_two_digits(amount: str, text: str) -> None:
    assert dollars(Decimal(amount)) == text


def test_what_is_one_is_not_many() -> None:
    assert [counted(n, "step") for n in (0, 1, 2000)] == ["0 steps", "1 step", "2,000 steps"]


def test_units_are_readable() -> None:
    assert [duration(seconds) for seconds in (0.0, 59.94, 61, 15960, None)] == [
        "0.0 s",
        "59.9 s",
        "1 min 01 s",
        "4 h 26 min",
        "–",
    ]
    assert [size(count) for count in (999, 47_000_000, 3_500_000_000)] == [
        "999 B",
        "47.0 MB",
        "3.5 GB",
    ]


def test_every_time_of_day_that_is_said_is_in_utc_and_says_so() -> None:
    top = Path(__file__).parents[3]
    lines = [
        (path.name, line)
        for source in SOURCES
        for path in (top / source).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    said = [one for one in lines if "%H:" in one[1]]
    assert len(said) >= 8
    assert [one for one in said if "UTC" not in one[1] and "%SZ" not in one[1]] == []
    assert [one for one in lines if "astimezone()" in one[1]] == []
