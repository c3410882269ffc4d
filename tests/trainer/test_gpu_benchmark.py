"""benchmarks/gpu.py runs to its end where there is no GPU, so that it does on the first one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.long
def test_it_tells_all_of_a_device(tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    command = [sys.executable, str(BENCHMARK), "--device", "cpu", "--quick", "--trace", str(trace)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["of_the_cpu"] == 0
    assert found["tensors_that_did_not_change"] == []
    assert {"forward", "backward", "optimizer"} <= found["parts_seconds"].keys()
    assert found["steps"][0]["losses"][-1] < found["steps"][0]["losses"][0]
    assert found["merge"]["difference"] < 0.1 < found["merge"]["adapter_effect"]
    assert json.loads(trace.read_text())["traceEvents"]
