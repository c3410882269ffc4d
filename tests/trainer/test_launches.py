"""What a step asks of a GPU, counted on this CPU: exact, so that each kernel more is noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fintts_cost.pace.throughput import Work

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "launches.py"

MOST_LAUNCHES = 2_117
MOST_CASTS = 27
S1_MINI_LAYERS = 28 + 4


def test_a_step_launches_no_more_than_before_and_waits_for_nothing() -> None:
    command = [sys.executable, str(BENCHMARK), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["launches"] <= MOST_LAUNCHES, found["by_operation"]
    assert found["casts"] <= MOST_CASTS
    assert found["reads"] == 0
    assert found["launches"] == pytest.approx(Work(0, S1_MINI_LAYERS).launches, rel=0.05)
