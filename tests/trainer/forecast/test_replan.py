"""The rest of a run, forecast from measured steps and the data to come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fintts_cost.pace.eta import WARMUP_STEPS
from fintts_cost.training.schedule import Schedule
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.runs.records import StopReason
from fintts_store.runs.runs import read_status
from fintts_trainer.forecast.arrays import Values
from fintts_trainer.forecast.replan import Ahead, Measured, fitted, forecast_rest
from fintts_trainer.forecast.replanner import MEASURED_STEPS, Replanner
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from tiny_run import start_run

NOW = datetime(2026, 12, 1, tzinfo=UTC)
SCHEDULE = Schedule(samples=800, max_steps=1000, validation_every=100, checkpoint_every=200)
FIRST = WARMUP_STEPS + MEASURED_STEPS
SPENT = {
    "setup": 7.0,
    "training": 40.0,
    "validation": 3.0,
    "checkpoint": 1.0,
    "samples": 5.0,
    "teardown": 0.0,
}


def array(*numbers: float) -> Any:
    return np.array(numbers, dtype=np.float64)


def flat(steps: int, checks: int = 0, saves: int = 0) -> Ahead:
    has_check, has_save = np.zeros(steps), np.zeros(steps)
    has_check[:checks], has_save[:saves] = 1, 1
    return Ahead(np.full(steps, 100.0), has_check, has_save)


def test_steps_checks_and_saves_are_added() -> None:
    measured = Measured(np.full(20, 50.0), np.full(20, 0.5), array(8.0, 8.0), array(2.0, 2.0))
    rest = forecast_rest(measured, flat(1000, checks=10, saves=5), seed=1)
    assert rest.seconds_left.likely == pytest.approx(1000 + 80 + 10)
    assert rest.seconds_per_token.likely == pytest.approx(0.01)
    assert rest.seconds_left.low < rest.seconds_left.likely < rest.seconds_left.high


def test_short_steps_at_first_do_not_shorten_the_rest() -> None:
    """By steps, this forecast would be off by a half."""
    measured = Measured(np.full(20, 50.0), np.full(20, 0.5), array(), array())
    assert forecast_rest(measured, flat(100), seed=1).seconds_left.likely == pytest.approx(100)


def test_a_step_that_only_launches_kernels_is_not_forecast_by_its_tokens() -> None:
    """The first steps are short; each step takes 0.4 s and 1 ms a token."""
    tokens = np.linspace(20.0, 80.0, 20)
    measured = Measured(tokens, 0.4 + 0.001 * tokens, array(), array())
    found = forecast_rest(measured, flat(100), seed=1)
    assert found.seconds_left.likely == pytest.approx(100 * (0.4 + 0.1))
    assert np.diff(found.likely_seconds) == pytest.approx(np.full(99, 0.5))


@pytest.mark.parametrize("seconds", [np.full(20, 0.5), np.linspace(0.9, 0.2, 20)])
def test_no_coefficient_is_negative(seconds: Values) -> None:
    line = fitted(np.linspace(20.0, 80.0, 20), seconds)
    assert line.seconds_per_step >= 0
    assert line.seconds_per_token >= 0
    assert line.total(20, np.array(1000.0)) == pytest.approx(seconds.sum())


def test_a_machine_that_is_busy_at_times_has_a_wider_interval() -> None:
    """Blocks of steps take turns at being slow and fast."""
    tokens = np.full(20, 100.0)
    steady = Measured(tokens, np.tile([0.8, 1.2], 10), array(), array())
    busy = Measured(tokens, np.repeat([0.8, 1.2, 0.8, 1.2, 1.0], 4), array(), array())
    widths = [
        (left.high - left.low) / left.likely
        for left in (forecast_rest(each, flat(1000), 1).seconds_left for each in (steady, busy))
    ]
    assert 0.1 < widths[0] < 0.2
    assert widths[1] > 2 * widths[0]


def test_the_interval_holds_most_of_the_time() -> None:
    """On a machine that others share, no stretch is long enough to know the pace of the next."""
    random, held = np.random.default_rng(3), 0
    frequencies = np.maximum(np.fft.rfftfreq(4096), 1 / 4096)
    for seed in range(200):
        tokens = random.uniform(50, 200, 520)
        waves = random.normal(size=2049) + 1j * random.normal(size=2049)
        noise = np.fft.irfft(waves / np.sqrt(frequencies), 4096)[:520]
        seconds = 0.01 * tokens * np.exp(0.15 * noise / noise.std())
        measured = Measured(tokens[:20], seconds[:20], array(), array())
        ahead = Ahead(tokens[20:], np.zeros(500), np.zeros(500))
        left = forecast_rest(measured, ahead, seed).seconds_left
        held += left.low <= seconds[20:].sum() <= left.high
    assert 0.65 <= held / 200 <= 0.95


def planner(min_checks: int = 3, said: list[str] | None = None) -> Replanner:
    log = (said if said is not None else []).append
    return Replanner(SCHEDULE, lambda _step: 100, 1, min_checks, log)


def planned(made: Replanner, usable_seconds: float, *, seconds: float = 1.0) -> None:
    for _ in range(FIRST):
        made.after_step(100, seconds)
    made.plan(
        FIRST,
        checks=[10.0],
        saves=[1.0],
        uploads=[2.0, 4.0],
        spent=SPENT,
        now=NOW,
        usable_seconds=usable_seconds,
        speaking_seconds=2.5,
    )


def test_the_first_steps_are_left_out() -> None:
    made = planner()
    for step in range(FIRST):
        assert not made.is_due([], [])
        made.after_step(100, 60.0 if step < WARMUP_STEPS else 1.0)
    assert made.is_due([], [])
    found = made.plan(
        FIRST, checks=[], saves=[], uploads=[], spent=SPENT, now=NOW, usable_seconds=1e6
    )
    assert found is not None
    assert found.seconds_left.likely == pytest.approx(970)
    assert not made.is_due([], [1.0])
    assert made.is_due([10.0], [1.0]), "once checks and saves are measured as well"
    made.plan(
        120,
        checks=[10.0],
        saves=[1.0],
        uploads=[2.0, 4.0],
        spent=SPENT,
        now=NOW,
        usable_seconds=1e6,
    )
    assert not made.is_due([10.0], [1.0]), "and then no more"


def test_each_phase_of_the_whole_run_is_told() -> None:
    made = planner()
    planned(made, 1e6)
    assert made.newest is not None
    likely = {phase: each.likely for phase, each in made.newest.phase_seconds.items()}
    assert likely == pytest.approx(
        {
            "setup": 7.0,
            "training": 40.0 + 970.0,
            "validation": 3.0 + 10 * 7.5,
            "samples": 5.0 + 10 * 2.5,
            "checkpoint": 1.0 + 5 * 1.0,
            "teardown": 3.0,
        }
    )
    left = sum(likely.values()) - sum(SPENT.values()) - likely["teardown"]
    assert made.newest.seconds_left.likely == pytest.approx(left)
    training, teardown = (made.newest.phase_seconds[name] for name in ("training", "teardown"))
    assert training.low < training.likely < training.high
    assert (teardown.low, teardown.high) == (2.0, 4.0)


@pytest.mark.parametrize(("usable", "checks"), [(1e6, 10), (-5.0, 0), (79.5, 0), (80.5, 1)])
def test_the_checks_that_fit_are_counted_to_the_second(usable: float, checks: int) -> None:
    made = planner()
    planned(made, usable)
    assert made.newest is not None
    assert made.newest.checks_that_fit == checks


def test_a_useless_run_is_said_and_a_short_one_is_not() -> None:
    made = planner()
    planned(made, 200.0)
    assert made.overrun is not None
    assert "only 2 of the run's 10 validation checks fit" in made.overrun
    planned(enough := planner(), 320.0)
    assert enough.overrun is None
    planned(few := planner(min_checks=1), 200.0)
    assert few.overrun is None


def test_what_cannot_be_planned_harms_nothing() -> None:
    said: list[str] = []
    made = planner(said=said)
    for _ in range(FIRST):
        made.after_step(0, 1.0)
    with np.errstate(all="ignore"):
        assert (
            made.plan(
                FIRST, checks=[], saves=[], uploads=[], spent=SPENT, now=NOW, usable_seconds=9.0
            )
            is None
        )
    assert "no forecast of the run's time" in said[0]
    assert not made.is_due([1.0], [1.0])


def test_a_run_that_stops_on_overrun_keeps_its_checkpoint_and_says_why(tmp_path: Path) -> None:
    run = start_run(
        tmp_path,
        {
            "training": {"max_steps": 10**8},
            "validation": {"every": 10**7},
            "checkpoints": {"every": 10**7},
            "replan": {"on_overrun": "stop"},
        },
        deadline=timedelta(hours=1),
    )
    result = train(run.job(), Preemption())
    assert result is not None
    assert (result.stop_reason, result.step) == (StopReason.DEADLINE, FIRST)
    assert "only 0 of the run's 10 validation checks fit" in (result.message or "")
    assert [each.step for each in list_manifests(run.store, run.name)] == [FIRST]
    status = read_status(run.store, run.name)
    assert status is not None
    assert status.replan is not None
    assert status.replan.checks_that_fit == 0
