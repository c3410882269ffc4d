"""A run that early stopping ends by what it hears, and that is interrupted while it listens."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tiny_eval
from fintts_cost.training.early_stopping import EarlyStopping
from fintts_inputs.errors import EvalModelProblem
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.errors import StoreError
from fintts_store.layout import checkpoint_prefix, tensorboard_prefix
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_store.runs.runs import read_result, read_run, read_status, withdraw_result
from fintts_trainer.samples.speaker import SampleSpeaker
from fintts_trainer.scoring.dnsmos import Dnsmos
from fintts_trainer.scoring.scorer import Scorer
from fintts_trainer.scoring.speaker import SpeakerEncoder
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from parity_fixtures import HERE
from tiny_run import TinyRun, start_run

pytestmark = pytest.mark.long

CODEC = HERE / "codec_for_fish_s1_tiny"
SECTIONS: dict[str, dict[str, Any]] = {
    "training": {"max_steps": 16, "learning_rate": 3e-3, "warmup_steps": 2},
    "validation": {"every": 2, "fraction": 0.2},
    "checkpoints": {"every": 100, "keep_last": 1},
    "lora": {"dropout": 0.1},
    "samples": {"held_out": 2, "max_seconds": 0.5, "seconds_a_check": 240},
}


def models(folder: Path) -> dict[str, object]:
    """A recogniser with random weights, and the released encoder."""
    asr = tiny_eval.write_ctc(folder / "asr")
    return {"asr": str(asr), "speaker_encoder": str(tiny_eval.ENCODER)}


def with_dnsmos(folder: Path) -> dict[str, object]:
    """It takes a second a sentence."""
    return {**models(folder), "dnsmos": str(tiny_eval.DNSMOS)}


FOUR_STEPS: dict[str, Any] = {"training": {**SECTIONS["training"], "max_steps": 4}}


def watching(
    folder: Path, monitor: str, *, patience: int, mode: str = "max", **sections: Any
) -> TinyRun:
    folder.mkdir()
    stopping = {"monitor": monitor, "mode": mode, "patience": patience}
    asked = SECTIONS | {"early_stopping": stopping, "eval": models(folder / "models")} | sections
    return start_run(folder / "run", asked, codec=CODEC)


def finished(run: TinyRun) -> Result:
    result = train(run.job(), Preemption())
    assert result is not None
    return result


def values(run: TinyRun, name: str, kind: str = "eval") -> dict[int, float]:
    rows = read_metrics(run.store, run.name).rows
    return {row.step: row.values[name] for row in rows if row.kind == kind and name in row.values}


def newest(run: TinyRun) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of the newest checkpoint, and its state without what a clock measured."""
    manifest = list_manifests(run.store, run.name)[-1]
    prefix = checkpoint_prefix(run.name, manifest.name)
    files = {file.name: run.store.get(prefix + file.name, 10**9) for file in manifest.files}
    state = json.loads(files.pop("trainer_state.json"))
    state["loop"].pop("phase_seconds")
    state.pop("config")
    return files, state


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run = watching(folder, "eval/similarity", patience=3)
    finished(run)
    return run


def test_the_best_checkpoint_is_the_best_by_ear(undisturbed: TinyRun) -> None:
    result = read_result(undisturbed.store, undisturbed.name)
    assert result is not None
    heard = values(undisturbed, "similarity")
    base = heard.pop(0)
    assert 0 < base < 1
    assert values(undisturbed, "recordings_similarity").keys() == {0}
    rule, progress = EarlyStopping("max", patience=3), EarlyStopping("max").start()
    for step, value in heard.items():
        assert not rule.should_stop(progress)
        progress = rule.check(progress, step, value)
    assert (result.best_step, result.best_value) == (progress.best_step, progress.best_value)
    assert (result.monitor, result.missing_samples) == ("eval/similarity", 0)
    stopped = rule.should_stop(progress)
    assert result.stop_reason == (StopReason.EARLY_STOPPING if stopped else StopReason.MAX_STEPS)
    assert result.step == max(heard)
    kept = {one.step: (one.monitor, one.value) for one in list_manifests(*name_of(undisturbed))}
    assert kept[progress.best_step or 0] == ("eval/similarity", progress.best_value)
    assert min(heard, key=heard.__getitem__) != progress.best_step, "mode max"


def name_of(run: TinyRun) -> tuple[Any, str]:
    return run.store, run.name


def test_every_measure_is_told_at_each_check(tmp_path: Path) -> None:
    measures: dict[str, Any] = {"eval": with_dnsmos(tmp_path / "models"), **FOUR_STEPS}
    run = watching(tmp_path / "run", "eval/dnsmos", patience=3, **measures)
    assert finished(run).monitor == "eval/dnsmos"
    for name in ("cer", "similarity", "dnsmos"):
        assert values(run, name).keys() == {0, 2, 4}
        assert len(set(values(run, name).values())) > 1
        assert values(run, f"recordings_{name}").keys() == {0}
    assert values(run, "loss", "validation").keys() == {0, 2, 4}
    events = run.store.list(tensorboard_prefix(run.name, 1))
    written = b"".join(run.store.get(one.key, 10**9) for one in events)
    assert b"eval/cer" in written


class Taken(Preemption):
    """A spot instance that is taken away at the given question about it."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    @property
    def is_requested(self) -> bool:
        self.left -= 1
        if self.left == 0:
            self.signal = signal.SIGTERM
        return super().is_requested


@pytest.mark.parametrize("at", [3, 40, 77, 120])
def test_a_run_that_is_taken_away_while_it_listens_goes_on_bit_for_bit(
    undisturbed: TinyRun, tmp_path: Path, at: int
) -> None:
    run = watching(tmp_path / "run", "eval/similarity", patience=3)
    jobs, preemption = 1, Taken(at)
    while train(run.job(f"job-{jobs}"), preemption) is None:
        jobs, preemption = jobs + 1, Taken(at * (jobs + 1))
        assert jobs < 20
    assert jobs > 1
    assert newest(run)[0] == newest(undisturbed)[0]
    for state in (mine := newest(run)[1], theirs := newest(undisturbed)[1]):
        assert state["loop"]["unjudged_step"] is None
    assert mine == theirs
    for name in ("similarity", "cer", "recordings_cer"):
        assert values(run, name) == values(undisturbed, name)
    ends = [read_result(one.store, one.name) for one in (run, undisturbed)]
    told = [(one.best_step, one.best_value, one.stop_reason) for one in ends if one is not None]
    assert len(told) == 2
    assert told[0] == told[1]


def test_a_check_that_is_interrupted_is_judged_by_the_next_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, preemption = watching(tmp_path / "run", "eval/similarity", patience=9), Preemption()
    measure = Scorer.scores

    def taken(self: Scorer, *args: Any) -> Any:
        if taken.calls == 2:  # type: ignore[attr-defined] # base and recordings come first
            preemption.signal = signal.SIGTERM
        taken.calls += 1  # type: ignore[attr-defined]
        return measure(self, *args)

    taken.calls = 0  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setattr(Scorer, "scores", taken)
        assert train(run.job(), preemption) is None
    (manifest,) = list_manifests(run.store, run.name)
    assert (manifest.step, manifest.value) == (2, None)
    assert newest(run)[1]["loop"]["unjudged_step"] == 2
    assert 2 not in values(run, "similarity")
    assert finished(run).claims == 2
    assert values(run, "similarity").keys() == {0, *range(2, 17, 2)}
    assert "ignores this check" not in capsys.readouterr().err


def test_a_run_that_hears_nothing_ends_after_its_patience_and_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = SECTIONS["samples"] | {"seconds_a_check": 1e-6}
    run = watching(tmp_path / "run", "eval/cer", mode="min", patience=3, samples=samples)
    result = finished(run)
    assert (result.stop_reason, result.step) == (StopReason.FAILED, 6)
    assert (result.best_step, result.best_value) == (None, None)
    assert result.message is not None
    assert result.message.startswith(
        "eval/cer could not be measured at the last 3 checks: at step 6, 2 of 2 sentences do not "
        "fit into samples.seconds_a_check; "
    )
    said = capsys.readouterr().err
    assert said.count("eval/cer is missing, so early stopping ignores this check") == 3
    assert "2 of 3 in a row that end the run" in said
    assert newest(run)[1]["loop"]["early_stopping"]["checks"] == 0
    withdraw_result(run.store, run.name)
    result = finished(run)
    assert (result.stop_reason, result.step) == (StopReason.FAILED, 12)
    assert list_manifests(run.store, run.name)[-1].step == 12


def test_a_run_that_stops_by_nothing_goes_on_without_a_value(tmp_path: Path) -> None:
    never = {"monitor": "eval/cer", "mode": "min", "patience": 1, "enabled": False}
    samples = SECTIONS["samples"] | {"seconds_a_check": 1e-6}
    more: dict[str, Any] = {"early_stopping": never, "samples": samples, **FOUR_STEPS}
    run = watching(tmp_path / "run", "eval/cer", mode="min", patience=1, **more)
    result = finished(run)
    assert (result.stop_reason, result.step) == (StopReason.MAX_STEPS, 4)
    assert result.message == "eval/cer was never measured, so no checkpoint is the best"


def test_a_check_with_a_sentence_less_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the others say alone would not compare with earlier checks."""
    run = watching(tmp_path / "run", "eval/similarity", patience=9)
    speak, calls = SampleSpeaker.speak, []

    def half(self: SampleSpeaker, *args: Any) -> Any:
        calls.append(1)
        if len(calls) == 3 + 2:  # the base model speaks two, then two at each check
            raise ZeroDivisionError
        return speak(self, *args)

    monkeypatch.setattr(SampleSpeaker, "speak", half)
    result = finished(run)
    assert values(run, "similarity").keys() == {0, 2, *range(6, 17, 2)}
    assert newest(run)[1]["loop"]["early_stopping"]["checks"] == 7
    assert result.missing_samples == 1


def damage(run: TinyRun, kind: str) -> None:
    """Replaces a model in the store by as many other bytes."""
    model = read_run(run.store, run.name).eval_models[kind]  # type: ignore[index] # a Literal
    (weights,) = [one for one in model.files if one.name.endswith((".safetensors", ".pt"))]
    run.store.put(model.prefix + weights.name, b"x" * weights.size_bytes)


def test_a_model_that_is_damaged_measures_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = watching(tmp_path / "run", "eval/similarity", patience=9, **FOUR_STEPS)
    damage(run, "asr")
    result = finished(run)
    assert result.stop_reason == StopReason.MAX_STEPS
    assert "eval.asr measures nothing: " in capsys.readouterr().err
    assert values(run, "cer") == {}
    assert len(values(run, "similarity")) == 3


def refused(run: TinyRun, error: type[Exception]) -> str:
    """What a run says that must not begin: it has trained no step, and saved nothing."""
    with pytest.raises(error) as caught:
        train(run.job(), Preemption())
    assert not list_manifests(run.store, run.name)
    assert not (run.folder / "workspace" / "base_model").exists(), "it comes first"
    status = read_status(run.store, run.name)
    assert status is not None
    assert (status.phase, status.step) == (Phase.FAILED, 0)
    said = str(caught.value)
    assert status.message == said
    return said


def test_a_run_does_not_begin_without_what_it_stops_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = watching(tmp_path / "damaged", "eval/cer", mode="min", patience=1)
    damage(run, "asr")
    said = refused(run, StoreError)
    assert said.startswith("early stopping watches eval/cer, but eval.asr cannot be used: ")
    run = watching(tmp_path / "deaf", "eval/similarity", patience=1)
    monkeypatch.setattr(SpeakerEncoder, "embedding", lambda *_: 1 / 0)
    said = refused(run, EvalModelProblem)
    assert said.endswith("eval.speaker_encoder cannot be used: it hears nothing: division by zero")
    run = watching(tmp_path / "bare", "eval/cer", mode="min", patience=1)
    monkeypatch.setitem(sys.modules, "fintts_trainer.scoring.open", None)
    assert "that measures samples is not installed" in refused(run, EvalModelProblem)


def test_a_run_does_not_begin_without_what_it_would_speak(tmp_path: Path) -> None:
    run = watching(tmp_path / "run", "eval/cer", mode="min", patience=1)
    codec = read_run(run.store, run.name).codec
    assert codec is not None
    run.store.put(codec.prefix + codec.files[0].name, b"x" * codec.files[0].size_bytes)
    with pytest.raises(StoreError, match="early stopping watches eval/cer, but "):
        train(run.job(), Preemption())
    assert not list_manifests(run.store, run.name)


def test_a_fault_of_any_kind_in_a_measure_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(Dnsmos, "overall", broken)
    measures: dict[str, Any] = {"eval": with_dnsmos(tmp_path / "models"), **FOUR_STEPS}
    run = watching(tmp_path / "run", "val/loss", mode="min", patience=9, **measures)
    assert finished(run).stop_reason == StopReason.MAX_STEPS
    assert values(run, "dnsmos") == {}
    assert len(values(run, "cer")) == 3


def test_training_does_not_notice_that_it_is_measured(tmp_path: Path) -> None:
    """Wav2Vec2 draws from torch's own generator, as dropout does."""
    run = watching(tmp_path / "run", "val/loss", mode="min", patience=9, **FOUR_STEPS)
    quiet: dict[str, Any] = {**FOUR_STEPS, "samples": {}, "eval": {}}
    silent = watching(tmp_path / "silent", "val/loss", mode="min", patience=9, **quiet)
    assert finished(run).step == finished(silent).step == 4
    assert len(values(run, "cer")) == 3
    assert newest(run)[0] == newest(silent)[0]
    assert newest(run)[1]["rng"] == newest(silent)[1]["rng"]


def test_two_processes_stop_by_the_ear_of_the_first(tmp_path: Path) -> None:
    run = watching(tmp_path / "run", "eval/similarity", patience=1)
    environment = {**run.environment(), "FINTTS_PROCESSES": "2"}
    done = subprocess.run(
        run.command("run"), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = read_result(run.store, run.name)
    assert result is not None
    heard = values(run, "similarity")
    assert result.stop_reason == StopReason.EARLY_STOPPING
    assert result.step == max(heard)
    assert result.best_step in heard.keys() - {0}
