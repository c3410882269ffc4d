"""A run that speaks while it trains: what reaches the store, and that training does not notice."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import pytest

from fintts_store.checkpoints.listing import list_manifests
from fintts_store.layout import (
    all_samples_prefix,
    checkpoint_prefix,
    samples_prefix,
    tensorboard_prefix,
)
from fintts_store.runs.records import Result
from fintts_store.runs.samples import BASE, ORIGINAL, RECORD, read_samples
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from parity_fixtures import HERE
from tiny_run import TinyRun, start_run

pytestmark = pytest.mark.long

CODEC = HERE / "codec_for_fish_s1_tiny"
FEW: dict[str, dict[str, Any]] = {
    "training": {"max_steps": 6, "learning_rate": 1e-3, "warmup_steps": 2},
    "validation": {"every": 2, "fraction": 0.2},
    "checkpoints": {"every": 6},
    "lora": {"dropout": 0.1},
}
SAMPLES = {"texts": ["Hyvää huomenta."], "held_out": 2, "every": 2, "max_seconds": 0.5}


def trained(folder: Path, samples: dict[str, object] | None = None) -> tuple[TinyRun, Result]:
    sections = FEW | ({} if samples is None else {"samples": samples})
    run = start_run(folder, sections, codec=None if samples is None else CODEC)
    result = train(run.job(), Preemption())
    assert result is not None
    return run, result


def newest(run: TinyRun) -> dict[str, bytes]:
    manifest = list_manifests(run.store, run.name)[-1]
    prefix = checkpoint_prefix(run.name, manifest.name)
    return {file.name: run.store.get(prefix + file.name, 10**9) for file in manifest.files}


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return trained(tmp_path_factory.mktemp("silent") / "run")[0]


def same_training(run: TinyRun, other: TinyRun) -> bool:
    """Whether weights, optimizer and random states are the same, bit for bit."""
    mine, theirs = newest(run), newest(other)
    states = [json.loads(files.pop("trainer_state.json")) for files in (mine, theirs)]
    assert states[0]["rng"]
    kept = [{key: state[key] for key in ("step", "loss", "rng")} for state in states]
    return mine == theirs and kept[0] == kept[1]


def test_a_run_speaks_the_same_sentences_and_trains_as_if_it_had_not(
    silent: TinyRun, tmp_path: Path
) -> None:
    run, result = trained(tmp_path / "run", SAMPLES)
    found = read_samples(run.store, run.name)
    assert found is not None
    assert found.sentences.texts[0] == "Hyvää huomenta."
    assert len(found.sentences.texts) == 3
    speakers = {(who, number) for who, number in found.files}
    recorded = {(ORIGINAL, number) for number in (2, 3)}
    assert speakers == {(who, n) for who in (BASE, 4) for n in (1, 2, 3)} | recorded
    waves = {place: run.store.get(one.key(run.name), 10**7) for place, one in found.files.items()}
    for content in waves.values():
        with wave.open(io.BytesIO(content)) as file:
            assert 0 < file.getnframes() <= 0.5 * file.getframerate() + 1024
    assert waves[BASE, 1] != waves[4, 1], "the adapter has learned"
    assert (result.missing_samples, result.phase_seconds["samples"] > 0) == (0, True)
    events = run.store.list(tensorboard_prefix(run.name, 1))
    written = b"".join(run.store.get(one.key, 10**9) for one in events)
    assert b"samples/adapter-1" in written
    assert b"samples/original-2" in written
    assert same_training(run, silent)


def test_sentences_that_take_too_long_are_missing_and_harm_nothing(
    silent: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, result = trained(tmp_path / "run", SAMPLES | {"seconds_a_check": 1e-6})
    keys = [one.key for one in run.store.list(all_samples_prefix(run.name))]
    assert keys == [samples_prefix(run.name, 1) + RECORD]
    assert result.missing_samples == 2 + 3 + 3, "recordings, base model and one check"
    said = capsys.readouterr().err
    assert said.count("do not fit into samples.seconds_a_check") == 1
    assert same_training(run, silent)


def test_a_run_without_its_codec_trains_all_the_same(
    silent: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start_run(tmp_path / "run", FEW | {"samples": SAMPLES}, codec=CODEC)
    codec = next(one.key for one in run.store.list("codecs/") if one.key.endswith("codec.pth"))
    run.store.put(codec, b"x" * len(run.store.get(codec, 10**9)))
    assert train(run.job(), Preemption()) is not None
    assert "there will be no samples: " in capsys.readouterr().err
    assert not run.store.list(samples_prefix(run.name, 1))
    assert same_training(run, silent)
