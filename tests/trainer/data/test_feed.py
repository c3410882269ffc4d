"""What the steps read, and whole runs on an encoded data set."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from checks import every
from fintts_cost.training.schedule import Schedule
from fintts_inputs.config import TrainingConfig
from fintts_inputs.errors import DataProblem
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.runs import read_run
from fintts_trainer.data.encoded import read_encoded, write_encoded
from fintts_trainer.data.feed import Feed, StepData
from fintts_trainer.data.order import Order
from fintts_trainer.families.base import Batch
from fintts_trainer.families.fish import FishBase
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from tiny_run import TinyRun, start_run

QUICK: dict[str, dict[str, object]] = {
    "training": {"max_steps": 6, "learning_rate": 1e-3, "warmup_steps": 2},
    "validation": {"every": 3, "fraction": 0.2},
    "checkpoints": {"every": 3, "keep_last": 2},
}


@pytest.fixture
def path(tmp_path: Path, base: FishBase) -> Path:
    """100 utterances of 20 to 119 frames."""
    generator = np.random.default_rng(3)
    frames = generator.permutation(np.arange(20, 120))
    examples = [
        (f"u{n}", base.encode(f"{n}", np.full((4, f), n % 64))) for n, f in enumerate(frames)
    ]
    write_encoded(tmp_path / "x.encoded", examples, len(examples))
    return tmp_path / "x.encoded"


def feed(path: Path, *, rank: int = 0, world: int = 1, **training: object) -> Feed:
    dataset = read_encoded(path)
    config = TrainingConfig.model_validate(
        {"batch_size": 4, "gradient_accumulation": 2, **training}
    )
    numbers = np.arange(10, 100)
    lengths = dataset.lengths[numbers] if config.bucketing else None
    order = Order(Schedule(len(numbers), 4, 2), config.seed, lengths)
    return Feed(dataset, numbers, np.arange(10), order, config, rank, world)


def contents(batches: list[Batch]) -> list[bytes]:
    """Inputs and labels of each sample without its padding, sorted."""
    samples: list[bytes] = []
    for batch in batches:
        for inputs, labels in zip(batch.inputs, batch.labels, strict=True):
            width = int((inputs[0] != 0).nonzero().max()) + 1
            samples.append(torch.stack([inputs[:, :width], labels[:, :width]]).numpy().tobytes())
    return sorted(samples)


def same(one: StepData, other: StepData) -> bool:
    pairs = zip(one.batches, other.batches, strict=True)
    return all(
        torch.equal(a.inputs, b.inputs) and torch.equal(a.labels, b.labels) for a, b in pairs
    )


def test_a_run_goes_on_with_the_very_batches(path: Path) -> None:
    straight = list(feed(path).steps(0, 30))
    resumed = list(feed(path).steps(17, 30))
    assert every(map(same, straight[17:], resumed))
    assert not same(straight[0], straight[1])


def test_each_epoch_reads_the_training_utterances_once_and_no_held_out_one(path: Path) -> None:
    whole = feed(path)
    steps = list(whole.steps(0, 12))
    epoch = contents([batch for step in steps for batch in step.batches])
    in_order = contents([whole._collated(np.array([number])) for number in range(10, 100)])
    assert epoch == in_order
    assert contents(list(whole.validation())) == contents(
        [whole._collated(np.array([number])) for number in range(10)]
    )


def test_buckets_leave_less_padding_and_its_share_is_what_it_is(path: Path) -> None:
    shares: dict[bool, float] = {}
    for bucketing in (True, False):
        steps = list(feed(path, bucketing=bucketing).steps(0, 12))
        for step in steps:
            computed = sum(batch.inputs[:, 0].numel() for batch in step.batches)
            useful = sum(int((batch.inputs[:, 0] != 0).sum()) for batch in step.batches)
            assert step.padding_share == pytest.approx(1 - useful / computed)
        shares[bucketing] = float(np.mean([step.padding_share for step in steps]))
    assert shares[True] < shares[False] / 2


def test_a_token_budget_cuts_the_same_step_differently(path: Path) -> None:
    whole, cut = feed(path), feed(path, tokens_per_micro_batch=200)
    for one, other in zip(whole.steps(0, 12), cut.steps(0, 12), strict=True):
        assert contents(one.batches) == contents(other.batches)
        sizes = [batch.inputs[:, 0].shape for batch in other.batches]
        assert every(sentences * width <= 200 or sentences == 1 for sentences, width in sizes)


@pytest.mark.parametrize("world", [2, 3, 11])
def test_processes_share_a_step_exactly(path: Path, world: int) -> None:
    feeds = [feed(path, rank=rank, world=world) for rank in range(world)]
    shares = zip(*(part.steps(0, 12) for part in feeds), strict=True)
    for step, parts in zip(feed(path).steps(0, 12), shares, strict=True):
        together = [batch for part in parts for batch in part.batches]
        assert contents(together) == contents(step.batches)


def test_held_out_utterances_of_like_length_stand_together(path: Path) -> None:
    whole = feed(path)
    lengths = sorted(whole.dataset.lengths[whole.held_out].tolist())
    widths = [batch.inputs.shape[-1] for batch in whole.validation()]
    assert widths == [lengths[3], lengths[7], lengths[9]]


def run_quickly(folder: Path, **training: object) -> TinyRun:
    run = start_run(folder, {**QUICK, "training": {**QUICK["training"], **training}})
    assert train(run.job(), Preemption()) is not None
    return run


def losses(run: TinyRun) -> list[float]:
    return [row.values["loss"] for row in read_metrics(run.store, run.name).rows]


def step_values(run: TinyRun) -> list[Mapping[str, float]]:
    return [row.values for row in read_metrics(run.store, run.name).rows if row.kind == "train"]


def test_a_step_tells_its_wait_for_data_and_its_padding(tmp_path: Path) -> None:
    for values in step_values(run_quickly(tmp_path)):
        assert 0 <= values["data_wait_seconds"] <= values["seconds"]
        assert 0 <= values["padding_share"] < 1


def test_a_token_budget_gives_the_same_run_within_rounding(tmp_path: Path) -> None:
    whole = run_quickly(tmp_path / "whole")
    cut = run_quickly(tmp_path / "cut", tokens_per_micro_batch=40)
    assert losses(cut) == pytest.approx(losses(whole), abs=2e-3)
    plain = run_quickly(tmp_path / "plain", bucketing=False)
    assert losses(plain) != pytest.approx(losses(whole), abs=2e-3)


def leave_at_once(run: TinyRun) -> Path:
    """Sets the run up, and leaves before its first step; the encoded data set."""
    preempted = Preemption()
    preempted.signal = signal.SIGTERM
    assert train(run.job(), preempted) is None
    return next((run.folder / "workspace" / "encoded").glob("*.encoded"))


def test_the_second_start_does_not_need_the_pack(tmp_path: Path) -> None:
    run = start_run(tmp_path, QUICK)
    encoded = leave_at_once(run)
    written = encoded.stat()
    key = read_run(run.store, run.name).packed.key
    run.store.delete(key)
    (run.folder / "workspace" / Path(key).name).unlink()
    assert train(run.job(), Preemption()) is not None
    assert (encoded.stat().st_ino, encoded.stat().st_mtime_ns) == (
        written.st_ino,
        written.st_mtime_ns,
    )


def test_an_encoded_file_that_is_damaged_is_made_anew(tmp_path: Path) -> None:
    straight = run_quickly(tmp_path / "straight")
    run = start_run(tmp_path / "damaged", QUICK)
    encoded = leave_at_once(run)
    whole = encoded.read_bytes()
    encoded.write_bytes(whole[:-4])
    assert train(run.job(), Preemption()) is not None
    assert encoded.read_bytes() == whole
    assert losses(run)[-8:] == losses(straight)[-8:]


def test_damage_that_shows_while_it_is_read_ends_the_run_in_one_sentence(tmp_path: Path) -> None:
    run = start_run(tmp_path, QUICK)
    encoded = leave_at_once(run)
    content = bytearray(encoded.read_bytes())
    content[-200:] = bytes(200)
    encoded.write_bytes(content)
    with pytest.raises(DataProblem, match="damaged"):
        train(run.job(), Preemption())
    assert train(run.job(), Preemption()) is not None, "the next start encodes it anew"
