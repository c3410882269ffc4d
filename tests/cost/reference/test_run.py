"""Every figure of the reference run, exact."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal

import pytest

from fintts_cost.estimate.document import document
from fintts_cost.estimate.result import estimate
from fintts_cost.gpus.accelerators import find
from fintts_cost.pace.flops import seconds_per_step
from fintts_cost.reference.notes import reference_notes
from fintts_cost.reference.run import (
    REFERENCE_CHECKPOINT_BYTES,
    REFERENCE_HEADS,
    REFERENCE_LATE_LOSSES,
    REFERENCE_LOSSES,
    REFERENCE_MEMORY,
    REFERENCE_RUN,
    REFERENCE_STEP_SECONDS,
    reference_flops_per_step,
)
from fintts_cost.training.checkpoint_storage import lora_checkpoint_bytes
from fintts_cost.training.early_stopping import EarlyStopping
from fintts_cost.training.loss_levels import uniform_guess
from fintts_cost.training.schedule import EpochRow

MB = 10**6
ESTIMATE = estimate(REFERENCE_RUN)
SCHEDULE = ESTIMATE.schedule

CONTRACT_EXAMPLE = {
    "steps_per_epoch": 250,
    "epochs": 11.2,
    "samples_seen": 22400,
    "validation_checks": 28,
    "setup_seconds": 0.0,
    "training_seconds": 15120.0,
    "validation_seconds": 840.0,
    "checkpoint_seconds": 0.0,
    "teardown_seconds": 0.0,
    "total_seconds": 15960.0,
    "hourly_rate_usd": 1.2,
    "price": {"source": "option", "as_of": None},
    "cost_usd": 5.32,
    "cost_per_unique_sample_usd": 0.00266,
    "cost_per_sample_seen_usd": 0.0002375,
    "samples_per_second": 8 / 5.4,
    "checkpoints": {
        "written": 28,
        "removed": 23,
        "kept_steps": [2400, 2500, 2600, 2700, 2800],
        "bytes_each": 47000000,
        "bytes_at_end": 235000000,
        "bytes_at_peak": 282000000,
        "bytes_at_peak_with_best": 329000000,
        "bytes_without_rotation": 1316000000,
        "keep_last_alone_loses_best": True,
    },
    "early_stopping": {
        "monitor": "train/loss",
        "patience": 5,
        "saved_steps": 200,
        "saved_training_seconds": 1080.0,
        "saved_training_usd": 0.36,
        "saved_seconds": 1140.0,
        "saved_usd": 0.38,
    },
    "scenarios": {
        "earliest": {"stop_step": 600, "total_seconds": 3420.0, "cost_usd": 1.14},
        "expected": {"stop_step": 2800, "total_seconds": 15960.0, "cost_usd": 5.32},
        "worst": {"stop_step": 3000, "total_seconds": 17100.0, "cost_usd": 5.7},
    },
}


@pytest.mark.parametrize("key", CONTRACT_EXAMPLE)
def test_the_document_holds_the_contract_s_example(key: str) -> None:
    assert document(ESTIMATE)[key] == CONTRACT_EXAMPLE[key]


def test_the_document_is_json_without_losses() -> None:
    made = document(ESTIMATE)
    assert json.loads(json.dumps(made)) == made
    assert made["seconds_per_step"] == {"value": 5.4, "source": "measured on the run"}
    assert made["memory"] == {
        "batch_bytes": 1728 * MB,
        "total_bytes": 6728 * MB,
        "calibrated": False,
        "measured_peak_bytes": 55000 * MB,
    }
    assert made["uniform_guess"] == {
        "vocabulary": math.log(155_776),
        "codebook": math.log(4096),
    }


def test_seconds_and_dollars_are_exact() -> None:
    spent = ESTIMATE.expected.durations
    assert spent.training_seconds == Decimal("15120.0")
    assert spent.validation_seconds == 840
    assert spent.total_seconds == 15960
    assert ESTIMATE.cost_usd == Decimal("5.32")
    assert ESTIMATE.cost_per_unique_sample_usd == Decimal("0.00266")
    assert ESTIMATE.cost_per_sample_seen_usd == Decimal("0.0002375")
    assert round(ESTIMATE.samples_per_second, 4) == Decimal("1.4815")


def test_a_float_counts_as_it_is_written() -> None:
    with_floats = replace(REFERENCE_RUN, seconds_per_step=5.4)
    assert with_floats.bill(2800) == REFERENCE_RUN.bill(2800)


def test_hours() -> None:
    spent = ESTIMATE.expected.durations
    assert spent.training_seconds / 3600 == Decimal("4.2")
    assert round(spent.validation_seconds / 3600, 4) == Decimal("0.2333")
    assert round(spent.total_seconds / 3600, 4) == Decimal("4.4333")


def test_eleven_whole_epochs_and_a_twelfth_of_fifty_steps() -> None:
    table = SCHEDULE.epoch_table(2800)
    assert SCHEDULE.epochs(2800) == Decimal("11.2")
    assert [row.steps for row in table] == [250] * 11 + [50]
    assert table[0] == EpochRow(1, 1, 250, partial=False)
    assert table[10] == EpochRow(11, 2501, 2750, partial=False)
    assert table[11] == EpochRow(12, 2751, 2800, partial=True)


def test_samples_seen() -> None:
    assert ESTIMATE.samples_seen == 22400
    assert Decimal(ESTIMATE.samples_seen) / 2000 == Decimal("11.2")


def test_stopping_at_2800_saves_the_training_and_two_validations() -> None:
    saving = ESTIMATE.saving
    assert saving.steps == 200
    assert saving.training_seconds == 1080
    assert saving.seconds == 1140
    assert (saving.training_usd, saving.usd) == (Decimal("0.36"), Decimal("0.38"))


def test_memory_of_a_batch_of_8() -> None:
    assert REFERENCE_MEMORY.sample_bytes == 216 * MB
    assert REFERENCE_MEMORY.batch_bytes(8) == 1728 * MB
    assert REFERENCE_MEMORY.fixed_bytes == 5000 * MB
    assert round(REFERENCE_MEMORY.total_bytes(8) / 1e9, 1) == 6.7
    assert not REFERENCE_MEMORY.calibrated


def test_memory_calibrated_with_the_55_gb_that_were_seen() -> None:
    peak = REFERENCE_RUN.measured_peak
    assert peak is not None
    model = REFERENCE_MEMORY.calibrate(peak.peak_bytes, peak.batch_size)
    assert model.calibrated
    assert model.total_bytes(8) == 55_000 * MB
    assert model.sample_bytes == 6250 * MB
    assert REFERENCE_RUN.accelerator == find("A100-80GB")
    assert round(peak.peak_bytes / find("A100-80GB").memory_bytes, 2) == 0.69


def test_batch_32_by_ratio_and_with_its_partial_batch() -> None:
    schedule = replace(SCHEDULE, batch_size=32)
    assert schedule.steps_per_epoch_by_ratio == Decimal("62.5")
    assert schedule.steps_per_epoch == 63
    assert 3000 / schedule.steps_per_epoch_by_ratio == 48
    assert schedule.samples_seen(63) == 2000


def test_one_checkpoint_by_part() -> None:
    assert sum(REFERENCE_CHECKPOINT_BYTES.values()) == 46_800_000
    assert REFERENCE_CHECKPOINT_BYTES["28 slow layers of 4 matrices"] == 11_200_000
    assert REFERENCE_CHECKPOINT_BYTES["4 fast layers of 4 matrices"] == 1_600_000


def test_an_adapter_in_float32_with_its_moments_is_103_mb() -> None:
    assert lora_checkpoint_bytes(8_595_456) == 103_145_472
    assert lora_checkpoint_bytes(8_071_168, bytes_per_value=2) == 48_427_008


def test_one_step_by_part() -> None:
    assert sum(REFERENCE_STEP_SECONDS.values()) == Decimal("5.4")
    assert [str(part) for part in REFERENCE_STEP_SECONDS.values()] == [
        "0.5", "2.0", "0.1", "2.5", "0.2", "0.1",
    ]  # fmt: skip


def test_the_losses_that_were_noted() -> None:
    assert (REFERENCE_LOSSES[0], REFERENCE_LOSSES[2800]) == (23.0, 13.0)
    assert len(REFERENCE_LOSSES) == 12


def test_training_on_paper_takes_a_tenth_of_a_second() -> None:
    flops = reference_flops_per_step()
    assert round(flops / 1e12, 1) == 13.0
    assert round(seconds_per_step(flops, find("A100"), mfu=0.40), 3) == 0.104


def test_the_text_s_5_28_is_from_rounded_hours() -> None:
    assert (Decimal("4.2") + Decimal("0.2")) * Decimal("1.20") == Decimal("5.28")
    assert "4.4 h and $5.28; exactly it is 4.4333 h and $5.32" in reference_notes()[0]


def test_the_rule_fires_at_3300_with_the_best_at_2800() -> None:
    rule = EarlyStopping(patience=5)
    progress, fired = rule.start(), None
    counts: list[int] = []
    for step, loss in REFERENCE_LATE_LOSSES.items():
        progress = rule.check(progress, step, loss)
        counts.append(progress.checks_without_improvement)
        if fired is None and rule.should_stop(progress):
            fired = step
    assert list(REFERENCE_LATE_LOSSES) == list(range(2300, 3301, 100))
    assert counts == [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert (fired, progress.best_step, progress.best_value) == (3300, 2800, 13.0)


def test_the_rule_could_not_have_stopped_at_2800() -> None:
    rule = EarlyStopping(patience=5)
    progress = rule.start()
    for step, loss in REFERENCE_LOSSES.items():
        progress = rule.check(progress, step, loss)
        assert not rule.should_stop(progress)


def test_keep_last_5_alone_loses_the_best_with_patience_5() -> None:
    longer = replace(REFERENCE_RUN, max_steps=3300, steps=3300)
    kept = estimate(longer).storage.kept_steps
    assert list(kept) == [2900, 3000, 3100, 3200, 3300]
    assert 2800 not in kept
    assert ESTIMATE.keep_last_alone_loses_best
    assert not estimate(replace(REFERENCE_RUN, keep_last=6)).keep_last_alone_loses_best
    assert not estimate(replace(REFERENCE_RUN, patience=4)).keep_last_alone_loses_best


def test_a_peak_of_1_3_gb_is_the_one_without_rotation() -> None:
    storage = ESTIMATE.storage
    assert round(storage.bytes_without_rotation / 1e9, 1) == 1.3
    assert storage.bytes_at_peak == 282 * MB


def test_a_loss_of_13_is_above_a_uniform_guess_over_the_codebook() -> None:
    codebook = REFERENCE_HEADS[-1]
    assert codebook.classes == 4096
    assert round(uniform_guess(4096), 2) == 8.32
    assert REFERENCE_LOSSES[2800] > codebook.uniform_guess
    assert sum(head.uniform_guess for head in REFERENCE_HEADS) > REFERENCE_LOSSES[2800]


def test_which_loss_was_watched_is_said() -> None:
    assert REFERENCE_RUN.monitor == "train/loss"
    assert any("train/loss" in note and "val/loss" in note for note in reference_notes())
