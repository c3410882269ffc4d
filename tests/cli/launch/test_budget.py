"""A budget holds whatever goes wrong: simulated runs through the product's own functions."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from fintts_cli.runs.bill.billing import bill_of
from fintts_cost.plan.reserve import CONCLUDE_SECONDS, KILL_SECONDS
from fintts_store.runs.ledger import Launch
from ledger_samples import asked, gone, ledger
from run_samples import MINUTE, START, record, status
from simulated_cloud import CONCLUDE_LIMIT, KILL_AFTER
from simulated_runs import outcomes

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("seed", [3, 4])
def test_no_run_costs_more_than_its_budget(seed: int) -> None:
    found = list(outcomes(400, seed))
    assert [each for each in found if each.is_over_budget] == []
    assert [each for each in found if each.is_believed_below_billed] == []
    reasons = {each.reason for each in found}
    assert reasons == {"deadline", "max_steps", "early_stopping", "failed", "nothing"}
    assert sum(each.launches > 1 for each in found) > 10
    assert sum(each.step > 0 for each in found) > 200


def test_without_the_reserve_runs_go_over() -> None:
    found = outcomes(300, 3, reserve_share=Decimal(0))
    assert sum(each.is_over_budget for each in found) > 10


def test_the_benchmark_prints_its_document_and_fails_with_runs_over_budget() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "budget.py"), "--runs", "200", "--json"]
    held = subprocess.run(command, capture_output=True, text=True, check=True)
    document = json.loads(held.stdout)
    assert (document["runs"], document["over_budget"]) == (200, 0)
    assert document["believed_below_billed"] == 0
    assert 0 < document["unused_share_median"] < 1
    assert 0 < document["with_checkpoint"] <= 200
    without = subprocess.run([*command, "--reserve", "0"], capture_output=True, check=False)
    assert without.returncode == 1


@pytest.mark.parametrize("count", ["over_budget", "believed_below_billed"])
def test_the_benchmark_fails_with_one_run_that_is_over_or_billed_too_low(count: str) -> None:
    exit_code = runpy.run_path(str(ROOT / "benchmarks" / "budget.py"))["exit_code"]
    held = {"over_budget": 0, "believed_below_billed": 0}
    assert exit_code(held) == 0
    assert exit_code(held | {count: 1}) == 1


def test_the_reserve_is_what_the_task_takes() -> None:
    script = (ROOT / "task_templates/fintts_templates/run.sh").read_text()
    assert f"--kill-after={KILL_SECONDS}" in script
    assert (float(KILL_SECONDS), float(CONCLUDE_SECONDS)) == (KILL_AFTER, CONCLUDE_LIMIT)


def test_a_spot_trainer_that_fell_silent_is_billed_until_its_instance_was_seen_gone() -> None:
    """It may have hung, or reached no store: that nobody heard of it does not end its bill."""
    launch = Launch(1, asked(spot=True), (), (gone(START + 50 * MINUTE),))
    heard = status(run=launch.asked.run, launch=1, updated_at=START + 5 * MINUTE)  # type: ignore[union-attr]  # it has one
    bill = bill_of(ledger(launch), record(), heard, None, None, START + timedelta(days=3))
    assert bill.seconds == 50 * 60
    assert bill.is_at_most


def test_a_spot_instance_is_billed_at_what_the_cloud_says_that_it_cost() -> None:
    """The rate of the ledger is the most that an hour can cost; the history only lowers it."""
    for rate, usd in ((None, "1.20"), ("0.40", "0.40"), ("9", "1.20")):
        known = None if rate is None else Decimal(rate)
        end = gone(START + 60 * MINUTE, hourly_rate_usd=known)
        launch = Launch(1, asked(spot=True), (), (end,))
        later = START + timedelta(days=3)
        assert bill_of(ledger(launch), record(), None, None, None, later).usd == Decimal(usd)
