"""Whole runs of the tiny model: every way to end, and going on as if nothing had happened."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen as AnyPopen
from typing import Any

import pytest

from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.errors import StoreError, StoreSlow, StoreUnreachable
from fintts_store.layout import checkpoint_prefix, commit_key, status_key, tensorboard_prefix
from fintts_store.runs.claims import highest_claim, take_claim
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_store.runs.runs import (
    read_result,
    read_status,
    request_stop,
    withdraw_result,
    write_status,
)
from fintts_trainer import train as train_module
from fintts_trainer.session import preemption as preemption_module
from fintts_trainer.session import session
from fintts_trainer.session.conclude import conclude
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.session.spot_notice import AWS_ADDRESS, SpotNotice
from metadata_server import MetadataServer, metadata_server
from other_clock import OtherClock
from run_samples import status
from small_disk import fill, small_disk
from tiny_run import TinyRun, start_run

pytestmark = pytest.mark.long

Popen = AnyPopen[str]

QUICK: dict[str, dict[str, Any]] = {
    "training": {"max_steps": 12, "learning_rate": 1e-3, "warmup_steps": 2},
    "validation": {"every": 4, "fraction": 0.2},
    "checkpoints": {"every": 4, "keep_last": 2},
}


def bytes_of_newest(run: TinyRun) -> dict[str, bytes]:
    manifest = list_manifests(run.store, run.name)[-1]
    prefix = checkpoint_prefix(run.name, manifest.name)
    return {file.name: run.store.get(prefix + file.name) for file in manifest.files}


@dataclass(frozen=True)
class Ended:
    """A run of its twelve steps, and what its process printed."""

    run: TinyRun
    log: str


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    run = start_run(tmp_path_factory.mktemp("quick"), QUICK)
    trained = run.train()
    assert trained.returncode == 0, trained.stderr
    return Ended(run, trained.stderr)


def train_here(run: TinyRun, workspace: str = "workspace") -> Result:
    """Trains to the end in this process, which has imported torch already."""
    result = train_module.train(run.job(workspace), Preemption())
    assert result is not None
    return result


def losses(run: TinyRun) -> list[tuple[str, int, float]]:
    rows = read_metrics(run.store, run.name).rows
    return [(row.kind, row.step, row.values["loss"]) for row in rows]


def test_a_run_ends_at_max_steps_and_says_everything(quick: Ended) -> None:
    run = quick.run
    result = read_result(run.store, run.name)
    assert result is not None
    assert result.stop_reason == StopReason.MAX_STEPS
    assert (result.step, result.claims) == (12, 1)
    assert result.best_step in (4, 8, 12)
    assert set(result.kept_steps) >= {8, 12}
    assert result.samples_seen > 0
    assert result.phase_seconds["training"] > 0
    assert result.initial_validation_value is not None
    assert result.best_value is not None
    assert result.best_value < result.initial_validation_value - 0.1
    status = read_status(run.store, run.name)
    assert status is not None
    assert (status.phase, status.step, status.last_committed_step) == (Phase.DONE, 12, 12)
    kinds = [kind for kind, _, _ in losses(run)]
    assert (kinds.count("train"), kinds.count("validation")) == (12, 4)
    rows = [row.values for row in read_metrics(run.store, run.name).rows if row.kind == "train"]
    parts = ("data", "forward", "loss", "backward", "optimizer")
    booked = sum(row[f"{part}_seconds"] for row in rows for part in parts)
    assert 0.5 < booked / sum(row["seconds"] for row in rows) <= 1
    for row in rows:
        assert row["loss"] == pytest.approx(row["token_loss"] + row["code_loss"])
        assert 0 <= row["padding_share"] < 0.6
        assert row["tokens"] == pytest.approx(row["tokens_per_second"] * row["seconds"])
        assert 0 < row["mfu"] < 1
        assert row["logging_seconds"] > 0
        assert "exchange_seconds" not in row, "one process has nobody to exchange gradients with"
        assert row["memory_peak_bytes"] > 10**8
    assert "before training: validation loss" in quick.log
    assert run.store.list(tensorboard_prefix(run.name, 1))
    assert train_here(run, "another") == result, "an instance that comes up late has nothing to do"
    assert read_result(run.store, run.name) == result


def test_a_checkpoint_has_its_four_files_and_all_of_the_state(quick: Ended) -> None:
    files = bytes_of_newest(quick.run)
    assert sorted(files) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "optimizer.safetensors",
        "trainer_state.json",
    ]
    state = json.loads(files["trainer_state.json"])
    assert {"step", "epoch", "position", "seed", "learning_rate", "rng", "loss", "config"} <= set(
        state
    )
    assert state["loop"]["early_stopping"]["checks"] == 3
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "fish_s1_tiny"


def train_until(run: TinyRun, sentence: str, workspace: str, act: Callable[[Popen], None]) -> Popen:
    """Trains until the log says something, acts, and waits for the end."""
    with subprocess.Popen(
        run.command("run"), env=run.environment(workspace), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if sentence in line:
                act(process)
                break
        process.stderr.read()
    return process


def test_the_size_that_is_foreseen_is_the_size_that_comes(quick: Ended) -> None:
    foreseen = re.search(r"a checkpoint takes ([0-9.]+) MB", quick.log)
    committed = re.search(r"step 12: checkpoint committed, ([0-9.]+) MB", quick.log)
    assert foreseen is not None
    assert committed is not None
    assert float(foreseen[1]) == pytest.approx(float(committed[1]), rel=0.2)


def killed_after(run: TinyRun, committed_step: int) -> None:
    """Trains until a step is committed, then SIGKILL."""
    sentence = f"step {committed_step}: checkpoint committed"
    process = train_until(run, sentence, "first", Popen.kill)
    assert process.returncode == -signal.SIGKILL


def test_killed_and_resumed_is_straight_through_bit_for_bit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sections = {**QUICK, "training": {**QUICK["training"], "max_steps": 24}}
    straight = start_run(tmp_path / "straight", sections)
    train_here(straight)
    broken = start_run(tmp_path / "broken", sections)
    killed_after(broken, committed_step=8)
    newest = list_manifests(broken.store, broken.name)[-1]
    train_here(broken, "second")
    assert "resumed at step" in capsys.readouterr().err
    status = read_status(broken.store, broken.name)
    assert status is not None
    assert status.resume_point == newest.id
    assert losses(broken) == losses(straight)
    mine, theirs = bytes_of_newest(broken), bytes_of_newest(straight)
    assert mine["adapter_model.safetensors"] == theirs["adapter_model.safetensors"]
    assert mine["optimizer.safetensors"] == theirs["optimizer.safetensors"]
    results = [read_result(run.store, run.name) for run in (broken, straight)]
    assert results[0] is not None
    assert results[1] is not None
    assert results[0].best_value == results[1].best_value
    assert results[0].claims == 2
    rows = read_metrics(broken.store, broken.name).rows
    spent = sum(row.values["seconds"] for row in rows if row.kind == "train")
    assert results[0].phase_seconds["training"] == pytest.approx(spent), "both jobs count"


def test_a_checkpoint_of_another_base_model_is_not_gone_on_from(tmp_path: Path) -> None:
    run = start_run(tmp_path, {**QUICK, "training": {"max_steps": 4}})
    train_here(run)
    (newest,) = list_manifests(run.store, run.name)
    key = commit_key(run.name, newest.name)
    changed = newest.model_copy(update={"base_model_digest": "1" * 64}).dump().encode()
    run.store.put(key, changed)
    withdraw_result(run.store, run.name)
    refused = run.train("second")
    assert refused.returncode == 5
    assert "names another base model" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert run.store.get(key) == changed


ENDLESS: dict[str, dict[str, Any]] = {
    **QUICK,
    "training": {"max_steps": 50_000},
    "checkpoints": {"every": 50_000, "keep_best": False},
    "early_stopping": {"enabled": False},
}


def test_sigterm_saves_and_leaves_the_run_open(tmp_path: Path) -> None:
    run = start_run(tmp_path, ENDLESS)
    process = train_until(run, "step 4: validation", "workspace", Popen.terminate)
    assert process.returncode == 75
    assert read_result(run.store, run.name) is None
    saved = list_manifests(run.store, run.name)
    assert len(saved) == 1
    assert saved[0].step >= 4


PREEMPTED_WHILE_IT_ENDS = """
import os, signal, sys
from fintts_trainer import __main__ as program, train

def preempted(job, preemption):
    os.kill(os.getpid(), signal.SIGTERM)
    assert preemption.signal == signal.SIGTERM
    return None

train.train = preempted
code = program._run(None)
# As Python itself does while it ends, with each handler that is one of its own.
if callable(signal.getsignal(signal.SIGTERM)):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
os.kill(os.getpid(), signal.SIGTERM)
sys.exit(code)
"""


def test_a_signal_that_comes_twice_leaves_the_exit_code_as_it_was() -> None:
    ended = subprocess.run([sys.executable, "-c", PREEMPTED_WHILE_IT_ENDS], check=False)
    assert ended.returncode == 75


LOOKS_OFTEN = """
import sys
from fintts_trainer import __main__ as program
from fintts_trainer.session import session

session.LOOK_EVERY_SECONDS = 0.05
sys.exit(program.main(["work"]))
"""
ON_SPOT: dict[str, dict[str, Any]] = {
    **QUICK,
    "training": {"max_steps": 60, "learning_rate": 1e-3, "warmup_steps": 2},
    "checkpoints": {"every": 60, "keep_last": 2, "keep_best": False},
    "early_stopping": {"enabled": False},
}


def train_on_spot(run: TinyRun, cloud: MetadataServer, workspace: str) -> Popen:
    """On an instance that may be taken away; what it says is read from stderr."""
    spot = {"FINTTS_ON_SPOT": "1", AWS_ADDRESS: cloud.url}
    return subprocess.Popen(
        [sys.executable, "-c", LOOKS_OFTEN],
        env=run.environment(workspace) | spot,
        stderr=subprocess.PIPE,
        text=True,
    )


def announce_midway(process: Popen, cloud: MetadataServer, seconds: float) -> str:
    """Announces at step 4 that the instance ends in so many seconds; returns what the trainer says
    until it leaves."""
    said = ""
    assert process.stderr is not None
    for line in process.stderr:
        if "step 4: validation" in line:
            cloud.announce(f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}")
        said += line
        if "preempted at step" in line:
            break
    return said


def steps_told(run: TinyRun) -> list[int]:
    """By all jobs of the run, also those that another one told again."""
    keys = run.store.list(f"runs/{run.name}/metrics/")
    rows = [json.loads(row) for key in keys for row in run.store.get(key.key).splitlines()]
    return sorted(row["step"] for row in rows if row["kind"] == "train")


def test_an_announced_end_costs_no_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    straight = start_run(tmp_path / "straight", ON_SPOT)
    train_here(straight)
    taken = start_run(tmp_path / "taken", ON_SPOT)
    with metadata_server("aws") as cloud, train_on_spot(taken, cloud, "first") as process:
        said = announce_midway(process, cloud, seconds=120)
        assert process.wait() == 75, "there is time for SkyPilot to hear it"
    assert re.search(r"the spot instance is being taken away at \d\d:\d\d:\d\d UTC\n", said)
    last = re.search(r"preempted at step (\d+); everything is saved", said)
    assert last is not None
    assert 4 <= int(last[1]) < 60
    status = read_status(taken.store, taken.name)
    assert status is not None
    assert status.message is not None
    assert status.message.endswith(" UTC; the next job resumes from here")
    assert [manifest.step for manifest in list_manifests(taken.store, taken.name)] == [int(last[1])]
    assert read_result(taken.store, taken.name) is None
    train_here(taken, "second")
    assert f"resumed at step {last[1]}" in capsys.readouterr().err
    assert steps_told(taken) == list(range(1, 61)), "no step is done twice, and none is missing"
    assert losses(taken) == losses(straight)
    mine, theirs = bytes_of_newest(taken), bytes_of_newest(straight)
    assert mine["adapter_model.safetensors"] == theirs["adapter_model.safetensors"]
    assert mine["optimizer.safetensors"] == theirs["optimizer.safetensors"]


def test_who_is_told_late_saves_and_lives_as_long_as_the_instance(tmp_path: Path) -> None:
    run = start_run(tmp_path, ON_SPOT)
    with metadata_server("aws") as cloud, train_on_spot(run, cloud, "first") as process:
        assert "everything is saved" in announce_midway(process, cloud, seconds=20)
        assert list_manifests(run.store, run.name)
        assert process.stderr is not None
        assert "waiting for the end of the instance" in process.stderr.readline()
        process.terminate()
        assert process.wait() == 75


def test_a_job_that_begins_on_an_instance_that_is_being_taken_away_does_no_step(
    tmp_path: Path,
) -> None:
    run = start_run(tmp_path, ON_SPOT)
    with metadata_server("aws") as cloud:
        cloud.announce("2100-01-01T00:00:00Z")
        process = train_on_spot(run, cloud, "first")
        _, said = process.communicate()
    assert process.returncode == 75
    assert "preempted at step 0; everything is saved" in said
    assert steps_told(run) == []


def test_early_stopping_ends_the_run_by_the_rule(tmp_path: Path) -> None:
    run = start_run(
        tmp_path,
        dict(
            training={"max_steps": 500, "learning_rate": 0.03, "warmup_steps": 1},
            validation={"every": 5, "fraction": 0.2},
            early_stopping={"patience": 2},
            checkpoints={"every": 5, "keep_last": 2},
        ),
    )
    result = train_here(run)
    assert result == read_result(run.store, run.name)
    assert result.stop_reason == StopReason.EARLY_STOPPING
    assert result.best_step is not None
    assert result.step == result.best_step + 2 * 5
    # Keep-last alone would have lost the best one just now.
    assert result.kept_steps == (result.best_step, result.step - 5, result.step)


@pytest.mark.parametrize("min_delta", [0.0, 100.0])
def test_a_best_step_between_two_checkpoints_is_kept_too(tmp_path: Path, min_delta: float) -> None:
    run = start_run(
        tmp_path,
        dict(
            training={"max_steps": 12, "learning_rate": 1e-3, "warmup_steps": 2},
            validation={"every": 4, "fraction": 0.2},
            early_stopping={"min_delta": min_delta},
            checkpoints={"every": 10, "keep_last": 1},
        ),
    )
    result = train_here(run)
    assert result.best_step in (4, 8, 12), "validated, and not at a checkpoint's step"
    values = {m.step: m.value for m in list_manifests(run.store, run.name)}
    assert set(values) == {result.best_step, 12}
    assert values[result.best_step] == result.best_value


def test_a_request_to_stop_is_heard(tmp_path: Path) -> None:
    run = start_run(tmp_path, ENDLESS)
    process = train_until(
        run, "step 4: validation", "workspace", lambda _: request_stop(run.store, run.name, "test")
    )
    assert process.returncode == 0
    result = read_result(run.store, run.name)
    assert result is not None
    assert result.stop_reason == StopReason.REQUESTED
    assert result.kept_steps == (result.step,)
    assert result.step >= 4


def until_a_step_is_done(run: TinyRun, limit_seconds: float = 300.0) -> None:
    """As the newest trainer's heartbeat has it."""
    deadline = time.monotonic() + limit_seconds

    def is_done() -> bool:
        told = read_status(run.store, run.name)
        newest = highest_claim(run.store, run.name)
        return told is not None and told.claim == newest and told.step > 0

    while not is_done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_preemption_is_one_also_when_the_store_takes_nothing(tmp_path: Path) -> None:
    run = start_run(tmp_path, ENDLESS)
    in_the_way = tmp_path / "store" / "runs" / run.name / "checkpoints"

    def preempt(process: Popen) -> None:
        until_a_step_is_done(run)  # which nobody has saved
        process.terminate()

    def preempt_in_vain(process: Popen) -> None:
        in_the_way.write_text("no folder")
        preempt(process)

    process = train_until(run, "before training", "workspace", preempt_in_vain)
    assert process.returncode == 75, "another job goes on, so it has not failed"
    assert read_result(run.store, run.name) is None
    assert list_manifests(run.store, run.name) == []
    in_the_way.unlink()
    process = train_until(run, "resumed at step", "workspace", preempt)  # what the disk kept
    assert process.returncode == 75
    assert list_manifests(run.store, run.name)


class UnreachableStore(DirectoryStore):
    """Everything but checkpoints arrives."""

    def put(self, key: str, source: bytes | Path) -> None:
        if "/checkpoints/" in key:
            raise StoreUnreachable("no route to the store")
        super().put(key, source)


def leave_at_once(preemption: Preemption) -> None:
    """A signal."""
    preemption.signal = signal.SIGTERM


def leave_at_an_end_that_is_over(preemption: Preemption) -> None:
    """An announcement that came late, or one of a cloud whose clock is another."""
    preemption.notice = SpotNotice(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.timeout(100)  # of which the grace, were it not cut, alone takes more
@pytest.mark.parametrize(
    ("leave", "bound"),
    [(leave_at_once, "GRACE_SECONDS"), (leave_at_an_end_that_is_over, "LEAST_SECONDS")],
)
def test_a_preemption_is_heard_while_two_uploads_are_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    leave: Callable[[Preemption], None],
    bound: str,
) -> None:
    often = {"every": 1, "keep_last": 2}
    run = start_run(tmp_path, {**QUICK, "training": {"max_steps": 1000}, "checkpoints": often})
    preemption = Preemption()

    def notice(_heartbeat: object, error: StoreError) -> None:
        if isinstance(error, StoreSlow):
            leave(preemption)

    monkeypatch.setattr(session, "_log_passing_trouble", notice)
    monkeypatch.setattr(preemption_module, bound, 0.1)
    job = replace(run.job(), store=UnreachableStore(tmp_path / "store"))
    assert train_module.train(job, preemption) is None
    assert preemption.is_requested
    assert read_result(run.store, run.name) is None


class HesitantStore(DirectoryStore):
    """The first attempt to write how the run ended fails."""

    refused = 0

    def create(self, key: str, data: bytes) -> None:
        if key.endswith("/result.json") and not self.refused:
            self.refused += 1
            raise StoreUnreachable("no route to the store")
        super().create(key, data)


def test_the_last_word_is_said_again_when_the_store_did_not_take_it(tmp_path: Path) -> None:
    run = start_run(tmp_path, {**QUICK, "training": {"max_steps": 4}})
    store = HesitantStore(tmp_path / "store")
    result = train_module.train(replace(run.job(), store=store), Preemption())
    assert result is not None
    assert store.refused == 1
    assert read_result(run.store, run.name) == result


def test_the_deadline_ends_the_run_with_a_checkpoint(tmp_path: Path) -> None:
    run = start_run(tmp_path, ENDLESS, deadline=timedelta(seconds=20))
    result = train_here(run)
    assert result.stop_reason == StopReason.DEADLINE
    assert result.kept_steps == (result.step,)
    assert result.step > 0


def test_a_rented_machine_whose_clock_is_behind_keeps_the_deadline_of_the_store_s_clock(
    tmp_path: Path,
) -> None:
    hour = timedelta(hours=1)
    run = start_run(tmp_path, ENDLESS, deadline=hour + timedelta(seconds=10))
    asked_at = datetime.now(UTC)
    job = replace(run.job(), store=OtherClock(run.store.root, hour), asked_at=asked_at)
    result = train_module.train(job, Preemption())
    assert result is not None
    assert result.stop_reason == StopReason.DEADLINE
    assert result.ended_at >= asked_at + hour
    last = read_status(run.store, run.name)
    assert last is not None
    assert last.updated_at >= asked_at + hour
    assert "this machine's clock is 3,600 s behind" in (result.message or "")


def test_conclude_goes_by_the_store_s_clock_too(tmp_path: Path) -> None:
    run = start_run(tmp_path, QUICK, deadline=timedelta(minutes=30))
    hour, asked_at = timedelta(hours=1), datetime.now(UTC)
    job = replace(run.job(), store=OtherClock(run.store.root, hour), asked_at=asked_at)
    result = conclude(job, 124)
    assert result is not None
    assert result.stop_reason == StopReason.DEADLINE
    assert result.ended_at >= asked_at + hour


def test_a_damaged_heartbeat_takes_no_last_word_away(tmp_path: Path) -> None:
    run = start_run(tmp_path, QUICK)
    run.store.put(status_key(run.name), b"torn")
    result = conclude(run.job(), 1)
    assert result is not None
    assert read_result(run.store, run.name) == result


def test_a_spot_job_that_comes_up_in_the_last_ten_minutes_ends_at_once(tmp_path: Path) -> None:
    run = start_run(tmp_path, ENDLESS, deadline=timedelta(seconds=590))
    take_claim(run.store, run.name, "the instance that was lost")
    result = train_module.train(replace(run.job(), on_spot=True), Preemption())
    assert result is not None
    assert (result.stop_reason, result.step, result.claims) == (StopReason.DEADLINE, 0, 2)
    assert result.message is not None
    assert "less than ten minutes were left" in result.message
    assert read_result(run.store, run.name) == result
    assert not (tmp_path / "workspace" / "base_model").exists(), "nothing was fetched for it"


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_last_good_checkpoint(
    tmp_path: Path,
) -> None:
    run = start_run(
        tmp_path,
        dict(
            training={"max_steps": 400, "learning_rate": 1e18, "warmup_steps": 40},
            validation={"every": 50, "fraction": 0.2},
            checkpoints={"every": 1, "keep_last": 2},
            early_stopping={"enabled": False},
        ),
    )
    trained = run.train()
    assert trained.returncode == 1, trained.stderr
    result = read_result(run.store, run.name)
    assert result is not None
    assert result.stop_reason == StopReason.NAN_LOSS
    assert result.message is not None
    assert "is not finite" in result.message


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"training": {"batch_size": 1000}}, "batch-size is 1,000 samples, more than"),
        ({"validation": {"fraction": 0.0001}}, "none is held out"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(
    tmp_path: Path, sections: dict[str, Any], said: str
) -> None:
    run = start_run(tmp_path, sections)
    trained = run.train()
    assert trained.returncode == 1
    error = trained.stderr[trained.stderr.index("error: ") :]
    assert said in error
    assert "hint: " in error
    assert "Traceback" not in trained.stderr
    status = read_status(run.store, run.name)
    assert status is not None
    assert status.phase == Phase.FAILED
    assert status.message is not None
    assert said in status.message


def test_an_unknown_run_is_the_store_s_error(tmp_path: Path) -> None:
    run = start_run(tmp_path)
    trained = TinyRun(run.store, "another", run.folder).train()
    assert trained.returncode == 5
    assert "there is no run another" in trained.stderr
    assert "Traceback" not in trained.stderr


def test_conclude_speaks_for_a_trainer_that_could_not(tmp_path: Path) -> None:
    run = start_run(tmp_path, QUICK)
    killed_after(run, committed_step=4)
    environment = run.environment("first")
    subprocess.run(run.command("conclude", "--exit-code", "137"), env=environment, check=True)
    result = read_result(run.store, run.name)
    assert result is not None
    assert result.stop_reason == StopReason.FAILED
    assert result.kept_steps[-1] >= 4
    status = read_status(run.store, run.name)
    assert status is not None
    assert status.phase == Phase.FAILED


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (3, "the trainer ended with exit code 3"),
        (139, "the trainer was ended by SIGSEGV"),
        (137, "the trainer was ended by SIGKILL, perhaps because the machine's memory was full"),
    ],
)
def test_conclude_says_what_ended_the_trainer(tmp_path: Path, code: int, said: str) -> None:
    run = start_run(tmp_path, QUICK)
    write_status(run.store, status(run=run.name, message="the store is slow, and that passes"))
    command = run.command("conclude", "--exit-code", str(code))
    subprocess.run(command, env=run.environment(), check=True)
    result = read_result(run.store, run.name)
    assert result is not None
    assert result.message == said


@pytest.mark.parametrize("code", [124, 137])
def test_conclude_says_that_the_deadline_ended_a_hung_trainer(tmp_path: Path, code: int) -> None:
    run = start_run(tmp_path, QUICK)
    command = run.command("conclude", "--exit-code", str(code))
    late = {"FINTTS_DEADLINE_AT": "2026-01-01T00:00:00Z"}
    subprocess.run(command, env=run.environment() | late, check=True)
    result = read_result(run.store, run.name)
    assert result is not None
    assert result.stop_reason == StopReason.DEADLINE
    assert result.message is not None
    assert "did not end by itself at the deadline" in result.message


def test_a_disk_that_fills_up_ends_the_run_and_is_named(tmp_path: Path) -> None:
    training = {**QUICK["training"], "max_steps": 100_000}
    endless = {**QUICK, "training": training, "early_stopping": {"enabled": False}}
    run = start_run(tmp_path / "run", endless)
    with small_disk(run.folder / "disk", "64m") as disk:
        sentence = "step 4: checkpoint committed"
        process = train_until(run, sentence, "disk", lambda _: fill(disk))
        assert process.returncode == 1
        command = run.command("conclude", "--exit-code", "1")
        subprocess.run(command, env=run.environment("disk"), check=True)
    result = read_result(run.store, run.name)
    assert result is not None
    assert result.stop_reason == StopReason.FAILED
    assert result.kept_steps
    assert result.message is not None
    assert f"the disk of {run.folder / 'disk'} is full" in result.message


@pytest.mark.parametrize("code", [0, 5, 75])
def test_conclude_is_silent_when_the_run_ended_well_or_goes_on(tmp_path: Path, code: int) -> None:
    run = start_run(tmp_path, QUICK)
    command = run.command("conclude", "--exit-code", str(code))
    subprocess.run(command, env=run.environment(), check=True)
    assert read_result(run.store, run.name) is None


def test_micro_batches_give_the_same_run_within_rounding(quick: Ended, tmp_path: Path) -> None:
    cut = {**QUICK["training"], "batch_size": 2, "gradient_accumulation": 4}
    pieces = start_run(tmp_path / "pieces", {**QUICK, "training": cut})
    train_here(pieces)
    for mine, theirs in zip(losses(quick.run), losses(pieces), strict=True):
        assert mine[:2] == theirs[:2]
        assert mine[2] == pytest.approx(theirs[2], abs=2e-3)
