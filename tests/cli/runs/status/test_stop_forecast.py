"""The trainer's forecast of the end, with its price."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.status.merge import view_run
from fintts_cli.runs.status.stop_forecast import PricedForecast
from fintts_cli.runs.status.view import RunView
from fintts_store.runs.records import Phase, StopForecast
from run_samples import MINUTE, START, STOP_FORECAST, record, result, status

FORECAST = StopForecast(**STOP_FORECAST)
NOW = START + 10 * MINUTE
LIVE = InstanceView("pid 8", is_live=True, created_at=START)


def view_of(**changes: object) -> RunView:
    return view_run(record(), status(stop_forecast=FORECAST, **changes), None, LIVE, NOW)


def test_the_document_has_steps_time_money_and_what_a_dollar_brings() -> None:
    assert view_of().to_json()["stop_forecast"] == {
        "checks": 9,
        "step": {"low": 1900, "likely": 2400, "high": 3000},
        "seconds_to_go": {"low": 600.0, "likely": 900.0, "high": 1500.0},
        "cost_to_go_usd": {"low": 0.2133, "likely": 0.3133, "high": 0.5133},
        "improvement": 0.06,
        "improvement_per_usd": pytest.approx(0.2),
    }


def test_before_the_pace_is_measured_there_is_no_price() -> None:
    unmeasured = FORECAST.model_copy(
        update={"low_seconds": None, "likely_seconds": None, "high_seconds": None}
    )
    document = PricedForecast(unmeasured, Decimal("1.20")).to_json()
    assert document["seconds_to_go"] is None
    assert document["cost_to_go_usd"] is None
    assert document["improvement_per_usd"] is None


def test_a_machine_of_your_own_costs_nothing_so_no_dollar_brings_anything() -> None:
    free = PricedForecast(FORECAST, Decimal(0))
    assert free.to_go_usd is not None
    assert not any(free.to_go_usd)
    assert free.improvement_per_usd is None


def test_a_run_of_an_earlier_version_has_no_forecast() -> None:
    assert view_run(record(), status(), None, LIVE, NOW).to_json()["stop_forecast"] is None


@pytest.mark.parametrize("phase", [Phase.SETUP, Phase.PROVISIONING, Phase.STOPPING, Phase.DONE])
def test_only_a_run_that_trains_has_one(phase: Phase) -> None:
    assert view_of(phase=phase).stop_forecast is None
    assert view_of(phase=Phase.VALIDATING).stop_forecast is not None


def test_a_run_that_has_ended_has_none() -> None:
    gone = InstanceView("pid 8", is_live=False, created_at=START, ended_at=START + 22 * MINUTE)
    ended = view_run(record(), status(stop_forecast=FORECAST), result(), gone, NOW)
    assert ended.stop_forecast is None
