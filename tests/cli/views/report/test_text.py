"""What reports and comparisons look like, read once and kept as golden files."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.report.kept import kept_of
from fintts_cli.runs.report.report import RunReport, build_report
from fintts_cli.runs.status.merge import view_run
from fintts_cli.views.report.comparison import render_comparison
from fintts_cli.views.report.text import render_report
from run_samples import MINUTE, START, manifest, metrics, record, result, status

pytestmark = pytest.mark.usefixtures("far_away")

NOW = START + 30 * MINUTE
GONE = InstanceView("pid 7", is_live=False, created_at=START, ended_at=START + 21 * MINUTE)


def report() -> RunReport:
    manifests = [manifest(900, 4.4), manifest(1300, 5.2), manifest(1400, 5.4)]
    asked = record(budget_usd=Decimal("2.00"))
    return build_report(
        view_run(asked, status(), result(), GONE, NOW),
        result(),
        metrics(),
        kept_of(record(), manifests),
        NOW,
        uniform_guesses={"token": 7.0229, "code": 3.0},
    )


def test_a_report_puts_estimate_and_actual_beside_each_other(
    golden: Callable[[str, str], None],
) -> None:
    golden("cli_report.txt", render_report(report()) + "\n")


def test_the_reports_document_has_the_contracts_keys() -> None:
    document = json.loads(json.dumps(report().to_json()))
    contract = {
        "stop_reason", "step", "best_step", "best_value", "kept_steps", "phase_seconds",
        "samples_seen", "claims", "billed_seconds", "cost_usd", "estimated_cost_usd",
        "hourly_rate_usd", "price_source", "prompt",
    }  # fmt: skip
    assert contract <= set(document)
    assert document["billed_seconds"] == 21 * 60
    assert document["cost_usd"] == 0.42
    assert document["difference_usd"] == -0.08
    training = document["phases"]["training"]
    assert training["estimated_seconds"] == 1200.0
    assert training["actual_seconds"] == 560.0
    assert training["difference_seconds"] == -640.0
    # The ten seconds before the trainer started, and the minute after it ended, are billed too.
    assert document["phases"]["setup"]["actual_seconds"] == 35.0
    assert document["phases"]["teardown"]["actual_seconds"] == 61.5
    assert [(c["step"], c["reasons"]) for c in document["checkpoints"]] == [
        (900, ["best"]),
        (1300, ["last"]),
        (1400, ["last"]),
    ]


def test_after_a_preemption_the_trainer_s_own_figures_stand() -> None:
    """The seconds around them are the last instance's alone."""
    twice = result(claims=2)
    view = view_run(record(), status(), twice, GONE, NOW)
    document = build_report(view, twice, [], kept_of(record(), []), NOW).to_json()
    assert isinstance(document["phases"], dict)
    assert document["phases"]["setup"]["actual_seconds"] == 25.0
    assert document["phases"]["teardown"]["actual_seconds"] == 1.5


def test_a_run_that_goes_on_has_a_report_too() -> None:
    live = InstanceView("pid 7", is_live=True, created_at=START)
    view = view_run(record(estimate={}), status(), None, live, START + 10 * MINUTE)
    made = build_report(view, None, [], kept_of(record(), []), NOW)
    text = render_report(made)
    assert "training at step 1000 of 3000" in text
    assert "Checkpoints: none" in text
    assert made.to_json()["billed_seconds"] == 600
    assert made.to_json()["estimated_cost_usd"] is None


@pytest.mark.parametrize("width", [100, 80, 60])
def test_compared_runs_fit_and_name_what_they_drop(width: int) -> None:
    text = render_comparison([report(), report()], width)
    assert max(map(len, text.splitlines())) <= width
    assert "not shown here: " in text
    assert "COST" in text.splitlines()[0]
    assert "BEST" in text.splitlines()[0]
    assert "not shown here" not in render_comparison([report(), report()])
