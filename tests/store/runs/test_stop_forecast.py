"""The forecast in status.json: input from outside, and absent from earlier versions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fintts_store.errors import InvalidRecord
from fintts_store.runs.records import Status, StopForecast
from run_samples import STOP_FORECAST, status

NO_SECONDS = {"low_seconds": None, "likely_seconds": None, "high_seconds": None}


def text_with(forecast: object) -> str:
    return json.dumps({**json.loads(status().dump()), "stop_forecast": forecast})


@pytest.mark.parametrize("changes", [{}, NO_SECONDS, {"low_step": 3000, "likely_step": 3000}])
def test_a_forecast_survives_the_round_trip(changes: dict[str, Any]) -> None:
    forecast = StopForecast(**{**STOP_FORECAST, **changes})
    written = status(stop_forecast=forecast).dump()
    assert Status.load(written).stop_forecast == forecast


def test_a_heartbeat_of_an_earlier_version_has_none() -> None:
    content = json.loads(status().dump())
    del content["stop_forecast"]
    assert Status.load(json.dumps(content)).stop_forecast is None


@pytest.mark.parametrize(
    "changes",
    [
        {"low_step": 2401},
        {"high_step": 2399},
        {"low_seconds": 901.0},
        {"likely_seconds": None},
        {"high_step": 10**10},
        {"low_step": -1},
        {"checks": -1},
        {"high_seconds": 1e10},
        {"high_seconds": "Infinity"},
        {"improvement": -0.1},
        {"improvement": "NaN"},
        {"improvement": 1e300},
        {"improvement": None},
        {"likely_step": "\u001b[31m"},
    ],
    ids=str,
)
def test_what_no_trainer_writes_is_damaged(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord, match="stop_forecast"):
        Status.load(text_with({**STOP_FORECAST, **changes}))


@pytest.mark.parametrize("forecast", [7, "soon", [], {}])
def test_another_kind_of_value_is_damaged(forecast: object) -> None:
    with pytest.raises(InvalidRecord, match="stop_forecast"):
        Status.load(text_with(forecast))
