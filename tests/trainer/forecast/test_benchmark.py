"""benchmarks/forecast.py answers for recorded curves."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "forecast.py"


def asked(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARK), "--curves", str(file), "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answer(folder: Path, curves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    file = folder / "curves.json"
    file.write_text(json.dumps(curves))
    done = asked(file)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "Invalid JSON: recursion limit exceeded"),
        ('[{"id": 1, "values": ["x"], "every": 1, "max_steps": 9}]', "[0]['values'][0]: Input"),
        (None, "No such file"),
    ],
    ids=["deep", "no number", "no file"],
)
def test_a_file_without_curves_is_refused_in_a_sentence(
    text: str | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "curves.json"
    if text is not None:
        file.write_text(text)
    done = asked(file)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_each_curve_is_forecast_as_long_as_its_run_has_not_ended(tmp_path: Path) -> None:
    rule = {"every": 100, "max_steps": 1250, "patience": 2, "min_delta": 0.0}
    falling = [5 / n for n in range(1, 13)]
    found = answer(
        tmp_path,
        [
            {"id": "falls", "values": falling, **rule, "mode": "min"},
            {"id": "rises", "values": [-value for value in falling], **rule, "mode": "max"},
            {"id": "stops", "values": [3, 2, 1.9, 1.95, 1.96, 1.8], **rule, "mode": "min"},
            {"id": "torn", "values": [3.0, None, 2.5, 2.25, 2.1], **rule, "mode": "min"},
            {"id": "no number", "values": [3.0, math.nan, 2.5, 2.25, 2.1], **rule},
            {"id": 10**40, "values": [1e308, -1e308, 0.0, 0.0], **rule},
            {"id": "short", "values": [3.0], **rule, "mode": "min"},
        ],
    )
    assert {(each["id"], each["checks"]) for each in found} == {
        *(("falls", checks) for checks in (3, 5, 8, 12)),
        *(("rises", checks) for checks in (3, 5, 8, 12)),
        ("stops", 3),
        ("torn", 5),
        ("no number", 5),
    }
    for each in found:
        assert set(each) == {"id", "checks", "p10", "p50", "p90"}
        assert 100 * each["checks"] < each["p10"] <= each["p50"] <= each["p90"] <= 1250
    by_id = {name: [e["p90"] for e in found if e["id"] == name] for name in ("falls", "rises")}
    assert by_id["falls"] == by_id["rises"]
