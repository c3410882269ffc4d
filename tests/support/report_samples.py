"""Reports of runs as the pages show them: one that has ended, one at work, and hostile ones."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.report.kept import kept_of
from fintts_cli.runs.report.report import RunReport, build_report
from fintts_cli.runs.status.merge import view_run
from fintts_store.runs.laptop import Laptop
from fintts_store.runs.ledger import Asked, Evidence, Gone, Launch, Ledger, Up
from fintts_store.runs.records import MetricRow, Replan, SecondsRange, StopForecast, Work
from hostile_stores import EVIL
from run_samples import MINUTE, START, manifest, metrics, record, result, status

NOW = START + 30 * MINUTE
MARKUP = (
    "</script><script>window.hacked = 1</script><img src=https://evil.example/x onerror=alert(1)>"
)
QUOTES = '" onmouseover="window.hacked=1" \' {{ 7 * 7 }} {% raw %}'
HOSTILE = f"{MARKUP}{QUOTES}{EVIL}"
GUESSES = {"token": 7.0229, "code": 3.0}
ESTIMATE: dict[str, Any] = {
    "setup_seconds": 20.0, "training_seconds": 1200.0, "validation_seconds": 240.0,
    "checkpoint_seconds": 0.0, "teardown_seconds": 40.0, "cost_usd": 0.5,
    "steps_per_epoch": 250, "validation_checks": 30,
    "scenarios": {"expected": {"stop_step": 3000}},
    "expected": {
        "cost_usd": {"low": 0.3, "likely": 0.5, "high": 1.1},
        "billed_seconds": {"low": 900, "likely": 1500, "high": 3300},
    },
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "training": {"max_steps": 3000, "batch_size": 8, "learning_rate": 0.0002},
    "early_stopping": {"patience": 5, "monitor": "val/loss"},
    "checkpoints": {"keep_last": 2},
}
ASKED: dict[str, Any] = {
    "budget_usd": Decimal("2.00"), "estimate": ESTIMATE, "config": CONFIG,
}  # fmt: skip
LAPTOP = Laptop(id="a" * 32, host="laptop-a")


def timed_metrics(last_step: int = 1400) -> list[MetricRow]:
    """The samples' metrics with a time for each step, from the second minute on, and with the loss
    of both heads."""
    began = START + 2 * MINUTE
    return [
        row.model_copy(
            update={
                "at": began + timedelta(seconds=0.7 * row.step),
                "values": {**row.values, **_heads(row.values["loss"])},
            }
        )
        for row in metrics()
        if row.step <= last_step
    ]


def _heads(loss: float) -> dict[str, float]:
    return {"token_loss": 0.7 * loss, "code_loss": 0.3 * loss}


def ledger(gone_at: datetime | None) -> Ledger:
    """One launch, up after a minute."""
    asked = Asked(
        run="kalevala-1", launch=1, asker=LAPTOP, requested_at=START, infra="aws",
        rates_usd={"A100-80GB:1": Decimal("1.20")}, spot=False, deadline_at=START + 60 * MINUTE,
        reserve_seconds=300.0, teardown_seconds=120.0,
    )  # fmt: skip
    up = Up(run="kalevala-1", launch=1, at=START + MINUTE, seen_by=LAPTOP, gpus="A100-80GB:1")
    gones = () if gone_at is None else (
        Gone(run="kalevala-1", launch=1, at=gone_at, evidence=Evidence.CLOUD, seen_by=LAPTOP),
    )  # fmt: skip
    return Ledger((Launch(1, asked, (up,), gones),))


def ended(**changes: Any) -> RunReport:
    """A run that stopped early at step 1,400."""
    asked = record(**ASKED | changes)
    end = result(launch=1)
    gone = InstanceView("pid 7", is_live=False, created_at=START, ended_at=START + 21 * MINUTE)
    told = status(launch=1, replan=REPLAN, last_committed_step=1400)
    view = view_run(asked, told, end, gone, NOW, ledger(START + 21 * MINUTE))
    manifests = [manifest(900, 4.4), manifest(1300, 5.2), manifest(1400, 5.4)]
    kept = kept_of(asked, manifests)
    return build_report(view, end, timed_metrics(), kept, NOW, uniform_guesses=GUESSES)


REPLAN = Replan(
    step=25, measured_at=START + 3 * MINUTE,
    seconds_per_token=SecondsRange(low=0.0001, likely=0.00012, high=0.0002),
    seconds_left=SecondsRange(low=1100.0, likely=1300.0, high=1900.0), checks_that_fit=30,
    phase_seconds={
        "setup": SecondsRange(low=30.0, likely=30.0, high=30.0),
        "training": SecondsRange(low=900.0, likely=1100.0, high=1600.0),
        "validation": SecondsRange(low=180.0, likely=200.0, high=290.0),
        "checkpoint": SecondsRange(low=20.0, likely=25.0, high=40.0),
        "teardown": SecondsRange(low=1.0, likely=2.0, high=4.0),
    },
)  # fmt: skip


def at_work(**changes: Any) -> RunReport:
    """The same run at step 1,000, with a forecast of its end."""
    now = START + 15 * MINUTE
    forecast = StopForecast(
        checks=10, low_step=1400, likely_step=1600, high_step=2400, improvement=0.06,
        low_seconds=300, likely_seconds=500, high_seconds=1100,
    )  # fmt: skip
    work = Work(tokens_per_second=8000, mfu=0.41, memory_peak_bytes=21e9)
    told = status(updated_at=now, launch=1, stop_forecast=forecast, replan=REPLAN, work=work)
    asked = record(**ASKED | changes)
    live = InstanceView("pid 7", is_live=True, created_at=START, launch=1)
    view = view_run(asked, told, None, live, now, ledger(None))
    kept = kept_of(asked, [manifest(900, 4.4), manifest(1000, 4.6)])
    return build_report(view, None, timed_metrics(1000), kept, now, uniform_guesses=GUESSES)


def hostile() -> RunReport:
    """Every text that a store can hold is hostile, and some numbers are odd."""
    shown = ended(
        config={**CONFIG, HOSTILE: {HOSTILE: HOSTILE}}, infra=HOSTILE, fintts_version=HOSTILE,
        prompt=HOSTILE, estimate={**ESTIMATE, "cost_usd": HOSTILE, "setup_seconds": 1e300},
    )  # fmt: skip
    view = replace(shown.view, message=HOSTILE, gpus=HOSTILE)
    return replace(shown, view=view, price_source=HOSTILE, warnings=(HOSTILE,), prompt=HOSTILE)


def bare() -> RunReport:
    """A run of which little more than the request is known."""
    view = view_run(record(estimate={}, config={}), None, None, InstanceView(), NOW)
    return build_report(view, None, [], kept_of(record(), []), NOW)


def one_check() -> RunReport:
    """A run with a single check, and losses that are no numbers."""
    rows = [row for row in timed_metrics(100) if row.kind == "train" or row.step == 100]
    odd = [
        row.model_copy(update={"values": {**row.values, "loss": math.nan}})
        if row.step % 3 == 0 else row for row in rows
    ]  # fmt: skip
    live = InstanceView("pid 7", is_live=True, created_at=START)
    view = view_run(record(estimate=ESTIMATE, config=CONFIG), status(step=100), None, live, NOW)
    return build_report(view, None, odd, kept_of(record(), []), NOW)
