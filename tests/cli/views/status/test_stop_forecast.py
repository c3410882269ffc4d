"""The forecast of a run's end in words: in the table, the live line and the report."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.report.kept import kept_of
from fintts_cli.runs.report.report import build_report
from fintts_cli.runs.status.merge import view_run
from fintts_cli.runs.status.stop_forecast import PricedForecast
from fintts_cli.runs.status.view import RunView
from fintts_cli.views.report.text import render_report
from fintts_cli.views.status.runs import render_live_line, render_runs
from fintts_cli.views.status.stop_forecast import end_in_a_line, forecast_lines
from fintts_store.runs.records import StopForecast
from run_samples import MINUTE, START, STOP_FORECAST, record, status

FORECAST: dict[str, Any] = STOP_FORECAST | {"high_step": 2900}
NOW = START + 10 * MINUTE


def priced(**changes: Any) -> PricedForecast:
    return PricedForecast(StopForecast(**{**FORECAST, **changes}), Decimal("1.20"))


def view() -> RunView:
    live = InstanceView("pid 8", is_live=True, created_at=START)
    heartbeat = status(updated_at=NOW, stop_forecast=StopForecast(**FORECAST))
    return view_run(record(), heartbeat, None, live, NOW)


def test_the_table_names_the_end_below() -> None:
    assert render_runs([view()], NOW).splitlines()[-1] == (
        "kalevala-1: ends at step 1900–2900, most likely 2400, for $0.21–$0.51 more"
    )


def test_the_line_fits_eighty_columns_with_large_numbers() -> None:
    large = priced(low_step=100_000, likely_step=200_000, high_step=300_000)
    assert len(f"{'kalevala-1'}: {end_in_a_line(large)}") <= 80


def test_the_line_has_it() -> None:
    whole = render_live_line(view(), NOW)
    assert "· $0.31 to go · ends at 1900–2900 · deadline 10:00 UTC" in whole


def test_the_report_says_whether_it_is_worth_going_on() -> None:
    assert forecast_lines(priced(), 3000) == [
        "End of the run, forecast from 9 checks",
        "  most likely at step 2400; 8 times out of 10 between step 1900 and 2900",
        "  that is 10 min 00 s–25 min 00 s and $0.20–$0.50 from now on, "
        "most likely 15 min 00 s and $0.30",
        "  until then the best value should improve by 0.0600: by 0.2000 for each further dollar",
    ]
    made = build_report(view(), None, (), kept_of(record(), []), NOW)
    assert "\n\nEnd of the run, forecast from 9 checks\n" in render_report(made)


def test_a_run_that_may_not_stop_early_is_said_to() -> None:
    lines = forecast_lines(priced(high_step=3000), 3000)
    assert lines[2] == "  early stopping may not fire before max_steps, 3000"
    certain = forecast_lines(priced(low_step=3000, likely_step=3000, high_step=3000), 3000)
    assert certain[1] == "  at step 3000"


@pytest.mark.parametrize(("improvement", "said"), [(0.00004, "0"), (0.00006, "0.0001")])
def test_next_to_nothing_is_nothing(improvement: float, said: str) -> None:
    lines = forecast_lines(priced(improvement=improvement), 3000)
    assert lines[-1].startswith(f"  until then the best value should improve by {said}: ")


def test_without_a_measured_pace_no_price_is_made_up() -> None:
    unmeasured = priced(low_seconds=None, likely_seconds=None, high_seconds=None)
    assert end_in_a_line(unmeasured) == "ends at step 1900–2900, most likely 2400"
    assert not any("$" in line or "dollar" in line for line in forecast_lines(unmeasured, 3000))


def test_one_step_alone_is_no_range() -> None:
    one = priced(low_step=2400, high_step=2400, low_seconds=900.0, high_seconds=900.0)
    assert end_in_a_line(one) == "ends at step 2400, for $0.30 more"
