"""A trainer that hangs is ended from outside of its process, and one that is slow is not."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

import pytest

from fintts_inputs.errors import BadFactor
from fintts_inputs.hang_factor import FACTOR, factor_in, factor_or_default
from fintts_store.runs.claims import take_claim
from fintts_store.runs.records import Phase, StopReason
from fintts_store.runs.runs import read_result, read_status, write_status
from fintts_trainer.processes.group_exit import GroupExit
from fintts_trainer.processes.hang_limits import (
    LEAST_SECONDS,
    START_SECONDS,
    UNMEASURED_SECONDS,
    check_limit,
    load_limit,
    save_limit,
    step_limit,
)
from fintts_trainer.processes.launcher import ProcessGroup, TimeLimits
from fintts_trainer.processes.layout import ProcessLayout
from fintts_trainer.processes.progress import FOLDER, ProgressFile, read_progress
from fintts_trainer.processes.watchdog import Watchdog
from fintts_trainer.session.conclude import conclude
from fintts_trainer.session.phase_clock import PhaseClock
from run_samples import status
from tiny_run import TinyRun, start_run


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def watch(watchdog: Watchdog, clock: Clock, seconds: int) -> list[str]:
    """Looks once a second; what hung, at each look."""
    said: list[str] = []
    for _ in range(seconds):
        clock.seconds += 1
        said += [str(hang) for hang in [watchdog.look()] if hang is not None]
    return said


def test_silence_longer_than_the_limit_is_a_hang_and_a_sign_ends_the_silence(
    tmp_path: Path,
) -> None:
    clock, told = Clock(), ProgressFile(tmp_path / "0")
    watchdog = Watchdog([tmp_path / "0"], monotonic=clock)
    told.at_step(7, samples_seen=56)
    told.begin("training", 20)
    assert watch(watchdog, clock, 19) == []
    told.sign()
    assert watch(watchdog, clock, 21) == []
    assert watch(watchdog, clock, 1) == ["hung at step 7: training, with no progress for 21 s"]


def test_a_process_that_never_said_anything_hangs_after_the_time_of_a_start(
    tmp_path: Path,
) -> None:
    clock = Clock()
    watchdog = Watchdog([tmp_path / "0"], monotonic=clock)
    assert watch(watchdog, clock, int(START_SECONDS)) == []
    assert watch(watchdog, clock, 1)[0].startswith("hung at step 0: starting")


def test_a_machine_that_slept_has_not_hung(tmp_path: Path) -> None:
    clock = Clock()
    ProgressFile(tmp_path / "0").begin("training", 20)
    watchdog = Watchdog([tmp_path / "0"], monotonic=clock)
    assert watch(watchdog, clock, 10) == []
    clock.seconds += 3600
    assert watch(watchdog, clock, 9) == []


def test_those_that_wait_for_one_that_is_busy_do_not_hang(tmp_path: Path) -> None:
    clock, first = Clock(), ProgressFile(tmp_path / "0")
    first.begin("saving", 20)
    ProgressFile(tmp_path / "1").begin("training", 20)
    watchdog = Watchdog([tmp_path / "0", tmp_path / "1"], monotonic=clock)
    for _ in range(10):
        assert watch(watchdog, clock, 15) == []
        first.sign()
    assert watch(watchdog, clock, 25)


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (step_limit([], None), UNMEASURED_SECONDS),
        (step_limit([0.1] * 9 + [500.0], None), LEAST_SECONDS),
        (step_limit([60.0, 50.0, 70.0], 20.0), 600.0),
        (step_limit([5.0], 900.0), 900.0),
        (check_limit([], None), UNMEASURED_SECONDS),
        (check_limit([60.0], 40.0), 600.0),
        (check_limit([], 700.0), 700.0),
        (save_limit(None), LEAST_SECONDS),
        (save_limit(90.0), 900.0),
        (load_limit(20 * 10**9), 1300.0),
    ],
)
def test_a_limit_is_never_below_what_was_measured(limit: float, seconds: float) -> None:
    assert limit == seconds


@pytest.mark.parametrize(("told", "is_"), [("3", 3.0), ("0.5", 0.5), ("", 1.0), (" 100 ", 100.0)])
def test_the_limits_can_be_raised_for_a_slow_machine(told: str, is_: float) -> None:
    assert factor_in({FACTOR: told}) == is_
    assert factor_in({}) == 1.0


@pytest.mark.parametrize("told", ["x", "-1", "0", "nan", "inf", "1e9", "0.001", "10 times"])
def test_a_factor_that_is_none_is_said_and_counts_as_one(told: str) -> None:
    with pytest.raises(BadFactor, match=f"{FACTOR} is '{told}'"):
        factor_in({FACTOR: told})
    said: list[str] = []
    assert factor_or_default(said.append, {FACTOR: told}) == 1.0
    (warning,) = said
    assert warning.endswith("it counts as 1")


def test_half_a_record_is_no_record(tmp_path: Path) -> None:
    told = ProgressFile(tmp_path / "0")
    told.sign()
    assert read_progress(tmp_path / "0") is None
    told.begin("training", 1.0)
    whole = (tmp_path / "0").read_bytes()
    (tmp_path / "0").write_bytes(whole[:40])
    assert read_progress(tmp_path / "0") is None


def test_the_file_knows_what_the_phases_have_taken(tmp_path: Path) -> None:
    seconds = Clock()
    told, clock = ProgressFile(tmp_path / "0"), PhaseClock(seconds)
    told.count_phases_of(clock)
    with clock.spend("setup"):
        seconds.seconds = 30.0
        told.begin("loading the base model", 100.0, "setup")
    signs = read_progress(tmp_path / "0")
    assert signs is not None
    assert signs.activity is not None
    assert signs.activity.seconds_at(signs.activity.since + 12)["setup"] == pytest.approx(42)


WORKER = """
import os, signal, sys, time
from pathlib import Path
from fintts_trainer.processes.progress import ProgressFile
told = ProgressFile.from_environment()
rank = int(os.environ.get("RANK", "0"))
Path({folder!r}, f"pid-{{rank}}").write_text(str(os.getpid()))
"""
STOPS = 'told.at_step(3, 24)\ntold.begin("training", 1.0)\nos.kill(os.getpid(), signal.SIGSTOP)'
DEAF = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])\n"
HANGS = f'{DEAF}told.at_step(3, 24)\ntold.begin("training", 1.0)\ntime.sleep(600)'
HANGS_IN_ONE = (
    f'{DEAF}told.begin("training", 1.0)\n'
    "for _ in range(40 if rank == 0 else 1): told.sign(); time.sleep(0.05)\n"
    "time.sleep(600)"
)
SLOW_CHECK = 'told.begin("validation", 3.0)\nfor _ in range(5): told.sign(); time.sleep(1.0)'


def group(tmp_path: Path, script: str, processes: int = 1, **limits: float) -> ProcessGroup:
    path = tmp_path / "worker.py"
    path.write_text(WORKER.format(folder=str(tmp_path)) + script)
    return ProcessGroup(
        ProcessLayout(processes),
        [sys.executable, str(path)],
        tmp_path / FOLDER,
        limits=TimeLimits(**limits),
    )


@pytest.mark.parametrize(
    ("script", "processes", "start_seconds", "said"),
    [
        (STOPS, 1, 60.0, "hung at step 3: training"),
        (HANGS, 1, 60.0, "hung at step 3: training"),
        ("time.sleep(600)", 1, 3.0, "hung at step 0: starting"),
        (HANGS_IN_ONE, 2, 60.0, "hung at step 0: training"),
    ],
    ids=["stopped", "deaf", "before it says anything", "one of two"],
)
def test_a_crew_that_hangs_is_ended(
    tmp_path: Path, script: str, processes: int, start_seconds: float, said: str
) -> None:
    ending = group(tmp_path, script, processes, start=start_seconds, hung_grace=0.3).run()
    assert ending.exit_code == 1
    assert (ending.trouble or "").startswith(said)
    for rank in range(processes):
        assert not Path(f"/proc/{(tmp_path / f'pid-{rank}').read_text()}").exists()


def test_a_slow_check_that_moves_on_is_left_alone(tmp_path: Path) -> None:
    assert group(tmp_path, SLOW_CHECK).run() == GroupExit(0)


def test_what_was_only_slow_may_still_end_by_itself(tmp_path: Path) -> None:
    slow = (
        "signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        'told.begin("telling how it ended", 0.5)\ntime.sleep(600)'
    )
    assert group(tmp_path, slow).run() == GroupExit(0)


def test_no_trainer_outlives_its_watchdog(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run")
    lead = Popen(run.command("run"), env=run.environment(), stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{lead.pid}/task/{lead.pid}/children")
    while not (pids := children.read_text().split()):
        assert lead.poll() is None
        time.sleep(0.05)
    while b"work" not in Path(f"/proc/{pids[0]}/cmdline").read_bytes():
        time.sleep(0.05)
    time.sleep(1.0)  # it asks the kernel to once it has imported little
    lead.kill()
    lead.wait()
    end = time.monotonic() + 30
    while Path(f"/proc/{pids[0]}").exists():
        assert time.monotonic() < end
        time.sleep(0.05)


QUICK: dict[str, dict[str, object]] = {
    "training": {"max_steps": 12, "learning_rate": 1e-3, "warmup_steps": 2},
    "validation": {"every": 4, "fraction": 0.2},
    "checkpoints": {"every": 2, "keep_last": 3},
}
LEAD = """
import sys
from functools import partial
from fintts_trainer import __main__ as program
from fintts_trainer.processes.launcher import ProcessGroup, TimeLimits
# Its start is no hang, however slow the machine is.
program.ProcessGroup = partial(ProcessGroup, limits=TimeLimits(start=20_000, hung_grace=1.0))
program.trainer_command = lambda: [sys.executable, {worker!r}]
sys.exit(program.main(["run"]))
"""
HANGS_IN_A_STEP = """
import signal, sys, time
from fintts_trainer import __main__ as program, train
step = train.take_step

def hang(training, steps):
    if training.state.step == 3:
        training.report_to_watchdog("training")
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        time.sleep(600)
    return step(training, steps)

train.take_step = hang
program.end(program.main(["work"]))
"""


def hang_in_step_3(run: TinyRun, **variables: str) -> subprocess.CompletedProcess[str]:
    """A real run whose fourth step never ends; its limits are a twentieth of the usual ones."""
    worker = run.folder / "worker.py"
    worker.write_text(HANGS_IN_A_STEP)
    return subprocess.run(
        [sys.executable, "-c", LEAD.format(worker=str(worker))],
        env=run.environment() | {FACTOR: "0.05"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_that_hangs_fails_and_says_at_which_step(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", QUICK)
    hung = hang_in_step_3(run)
    assert hung.returncode == 1, hung.stderr
    assert "error: hung at step 3: training" in hung.stderr
    assert "in hang\n" in hung.stderr, "the log says where it was"
    conclude(run.job(), 1)
    result = read_result(run.store, run.name)
    assert result is not None
    assert (result.stop_reason, result.step) == (StopReason.FAILED, 2)
    assert result.message is not None
    assert result.message.startswith("hung at step 3: training")
    assert result.message.endswith("the newest committed step is 2")
    assert result.phase_seconds["training"] >= 15, "the silence is part of the bill"
    assert result.phase_seconds["setup"] > 0
    assert result.samples_seen > 0


def test_a_spot_run_that_hangs_goes_on_elsewhere(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", QUICK)
    hung = hang_in_step_3(run, FINTTS_ON_SPOT="1")
    assert hung.returncode == 75, hung.stderr
    conclude(run.job(), 75)
    assert read_result(run.store, run.name) is None
    said = read_status(run.store, run.name)
    assert said is not None
    assert said.message is not None
    assert said.message.startswith("hung at step 3")
    assert said.message.endswith("the next job resumes from here")


@pytest.mark.parametrize("claimed", [True, False])
def test_the_last_word_of_an_instance_that_lost_the_run_is_not_written(
    tmp_path: Path, *, claimed: bool
) -> None:
    run = start_run(tmp_path / "run")
    job = run.job()
    if claimed:
        job.workspace.mkdir()
        job.remember_claim(take_claim(run.store, run.name, "this one"))
    take_claim(run.store, run.name, "the one at work")
    at_work = status(run=run.name, phase=Phase.TRAINING, updated_at=datetime.now(UTC))
    write_status(run.store, at_work)
    assert conclude(job, 1) is None
    assert read_result(run.store, run.name) is None
    assert read_status(run.store, run.name) == at_work
