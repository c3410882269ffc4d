"""Memory: measured in the small, foreseen in the large, and steps cut to what there is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import Result
from fintts_trainer.data.batches import collate
from fintts_trainer.errors import MemoryTooSmall
from fintts_trainer.families.base import Batch, ComputedScores, Example, Predictions
from fintts_trainer.machine import capacity
from fintts_trainer.machine.allocator import keep_freed_memory
from fintts_trainer.machine.memory import MemoryNeed, PeakMeter, free_bytes, need_of_step
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from tiny_run import TinyRun, start_run

CPU = torch.device("cpu")
PER_TOKEN = 2**20
SECTIONS: dict[str, dict[str, object]] = {
    "training": {"max_steps": 8, "batch_size": 6, "warmup_steps": 2, "learning_rate": 1e-3},
    "validation": {"every": 4, "fraction": 0.2},
    "checkpoints": {"every": 4},
}


class Hoard(nn.Module):
    """Keeps a MiB for each position until backward, as a model keeps its activations."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, batch: Batch) -> Predictions:
        kept = torch.ones(batch.inputs[:, 0].numel(), PER_TOKEN // 4)
        sums: Tensor = (kept * self.weight).sum(1, keepdim=True).expand(-1, 2)
        labels = torch.zeros(len(sums), dtype=torch.int64)
        return Predictions(ComputedScores(sums), labels, ComputedScores(sums), labels[:, None])


def utterance(length: int) -> Example:
    return Example(np.zeros((2, length + 1), dtype=np.int64), 1, end_has_codes=False)


def test_two_small_steps_tell_what_a_large_one_takes() -> None:
    """Also in a process that keeps what it has freed, as a trainer does."""
    model = Hoard()
    keep_freed_memory()
    freed = torch.ones(200 * PER_TOKEN)
    del freed
    need = need_of_step(model, utterance(50), CPU, model.zero_grad)
    # `kept` itself, its product with the weight, and the gradients of both; pages are not exact
    assert PER_TOKEN <= need.bytes_per_token <= 6 * PER_TOKEN
    meter = PeakMeter(CPU)
    predictions = model(collate([utterance(50)] * 8))
    assert predictions.losses()["token"].total.isfinite()
    assert meter.bytes() <= 1.3 * need.of(8 * 50)
    assert model.weight.grad is None


def test_trying_leaves_the_random_numbers_where_they_were() -> None:
    class Dropping(Hoard):
        def forward(self, batch: Batch) -> Predictions:
            torch.rand(1)
            return super().forward(batch)

    before = torch.get_rng_state()
    model = Dropping()
    need_of_step(model, utterance(3), CPU, model.zero_grad)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_line_goes_through_both_points() -> None:
    need = MemoryNeed.through((100, 1_500), (200, 2_500))
    assert need == MemoryNeed(fixed_bytes=500.0, bytes_per_token=10.0)
    assert need.of(1_000) == 10_500
    assert need.most_tokens(10_500) == 1_000
    assert need.most_tokens(100) == 0


@pytest.mark.parametrize(("limit", "free"), [("max", None), ("5000000000", 3_500_000_000)])
def test_a_container_has_no_more_than_its_limit(
    limit: str, free: int | None, tmp_path: Path
) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("2000000000\n")
    (tmp_path / "memory.stat").write_text("anon 7\ninactive_file 500000000\nfile 9\n")
    machine = free_bytes(CPU, tmp_path / "none")
    found = free_bytes(CPU, tmp_path)
    assert found == free if free is not None else found == pytest.approx(machine, rel=0.2)


def losses(run: TinyRun) -> Mapping[tuple[str, int], float]:
    rows = read_metrics(run.store, run.name).rows
    return {(row.kind, row.step): row.values["loss"] for row in rows}


def trained(run: TinyRun, workspace: str = "workspace") -> Result:
    result = train(run.job(workspace), Preemption())
    assert result is not None
    return result


def as_if_free(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    """Memory for so many positions a micro-batch."""
    monkeypatch.setattr(capacity, "need_of_step", lambda *_, **__: MemoryNeed(1e9, 1e6))
    monkeypatch.setattr(capacity, "missing_moments_bytes", lambda _training: 0)
    monkeypatch.setattr(capacity, "usable_bytes", lambda *_: 1e9 + 1e6 * tokens)


def test_steps_are_cut_to_what_memory_allows_and_stay_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    roomy, tight = start_run(tmp_path / "roomy", SECTIONS), start_run(tmp_path / "tight", SECTIONS)
    trained(roomy)
    assert "a micro-batch takes up to" in capsys.readouterr().err
    as_if_free(monkeypatch, 90)
    trained(tight)
    told = capsys.readouterr().err
    assert "micro-batches are limited to 90 tokens" in told
    assert losses(tight) == pytest.approx(losses(roomy), abs=1e-5)


def test_a_resumed_run_keeps_the_cut_while_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start_run(tmp_path / "run", SECTIONS)
    as_if_free(monkeypatch, 90)
    leaving = Preemption()
    monkeypatch.setattr("fintts_trainer.train.is_worth_saving", lambda _training: leave(leaving))
    assert train(run.job(), leaving) is None
    monkeypatch.undo()
    capsys.readouterr()
    trained(run, "second")
    told = capsys.readouterr().err
    assert "resumed at step 1" in told
    assert "are limited to" not in told
    (state,) = tmp_path.glob("run/store/runs/tiny/checkpoints/*8-*/trainer_state.json")
    assert json.loads(state.read_text())["loop"]["memory_tokens"] == 90


def leave(preemption: Preemption) -> bool:
    preemption.signal = 15
    return False


def test_what_does_not_fit_at_all_is_said_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(tmp_path / "run", SECTIONS)
    as_if_free(monkeypatch, 5)
    with pytest.raises(MemoryTooSmall, match=r"the longest utterance alone, of \d+ tokens") as told:
        train(run.job(), Preemption())
    assert "gradient_checkpointing" in told.value.hint
    assert ("train", 1) not in losses(run)


def test_an_out_of_memory_while_trying_is_the_same_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> MemoryNeed:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(capacity, "need_of_step", fails)
    with pytest.raises(MemoryTooSmall, match="needs more, but"):
        train(start_run(tmp_path / "run", SECTIONS).job(), Preemption())
