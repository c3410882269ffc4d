"""What a step with compiled layers asks of a GPU, counted in the code that Inductor generates."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "compiled_launches.py"

MOST_LAUNCHES = 1_621
MOST_GRAPHS = 3
"""two for the slow stack, whose first layer may differ, and one for the fast stack"""


@pytest.mark.long
@pytest.mark.timeout(900)  # a C++ compiler is at work, beside other tests
def test_no_more_kernels_or_graphs_than_before() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARK)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["launches"] <= MOST_LAUNCHES, found
    assert 0 < found["graphs"] <= MOST_GRAPHS
