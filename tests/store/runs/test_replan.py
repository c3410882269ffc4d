"""The re-plan in status.json: input from outside, and absent from earlier versions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fintts_store.errors import InvalidRecord
from fintts_store.runs.records import Replan, Status
from run_samples import START, status

SECONDS = {"low": 800.0, "likely": 900.0, "high": 1100.0}
REPLAN: dict[str, Any] = {
    "step": 30,
    "measured_at": START.isoformat(),
    "seconds_per_token": {"low": 1e-4, "likely": 1.2e-4, "high": 1.2e-4},
    "seconds_left": SECONDS,
    "phase_seconds": {"training": SECONDS},
    "checks_that_fit": 28,
}


def text_with(replan: object) -> str:
    return json.dumps({**json.loads(status().dump()), "replan": replan})


def test_a_replan_survives_the_round_trip() -> None:
    replan = Replan.model_validate(REPLAN)
    assert Status.load(status(replan=replan).dump()).replan == replan


def test_a_heartbeat_of_an_earlier_version_has_none() -> None:
    content = json.loads(status().dump())
    del content["replan"]
    assert Status.load(json.dumps(content)).replan is None


@pytest.mark.parametrize(
    "changes",
    [
        {"step": -1},
        {"checks_that_fit": -1},
        {"checks_that_fit": 1.5},
        {"measured_at": "9999-12-31T23:59:59Z"},
        {"seconds_left": None},
        {"phase_seconds": {"training": {**SECONDS, "low": 901.0}}},
        {"phase_seconds": {f"phase {n}": SECONDS for n in range(1000)}},
        {"seconds_left": {**SECONDS, "low": 901.0}},
        {"seconds_left": {**SECONDS, "high": "Infinity"}},
        {"seconds_per_token": {**SECONDS, "low": "NaN"}},
        {"seconds_per_token": {**SECONDS, "likely": -1.0}},
    ],
    ids=str,
)
def test_what_no_trainer_writes_is_damaged(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord, match="replan"):
        Status.load(text_with({**REPLAN, **changes}))
