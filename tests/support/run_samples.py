"""Records of runs as the terminal's views read them, without a store and without a trainer."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from fintts_store.checkpoints.manifest import Manifest, ManifestFile
from fintts_store.runs.records import MetricRow, Phase, Result, Status, StopReason
from fintts_store.runs.run_record import BaseModelRef, DatasetRef, PriceRef, RunRecord

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DIGEST = "a" * 64
DATA = b"nine byte"
STOP_FORECAST: dict[str, Any] = {
    "checks": 9,
    "low_step": 1900,
    "likely_step": 2400,
    "high_step": 3000,
    "low_seconds": 600.0,
    "likely_seconds": 900.0,
    "high_seconds": 1500.0,
    "improvement": 0.06,
}
"""the fields of a `StopForecast`"""
DATA_SHA256 = hashlib.sha256(DATA).hexdigest()


def record(**changes: Any) -> RunRecord:
    """A run to 3,000 steps at $1.20 an hour, estimated at $0.50."""
    given: dict[str, Any] = {
        "run": "kalevala-1",
        "created_at": START,
        "fintts_version": "0.1.0",
        "config": {"training": {"max_steps": 3000}, "checkpoints": {"keep_last": 2}},
        "dataset": DatasetRef(
            key=f"datasets/{DATA_SHA256}.safetensors",
            sha256=DATA_SHA256,
            size_bytes=len(DATA),
            utterances=160,
            frames=9000,
        ),
        "base_model": BaseModelRef(
            name="tiny", prefix=f"base_models/{DIGEST}/", digest=DIGEST, files=()
        ),
        "price": PriceRef(hourly_rate_usd=Decimal("1.20"), source="option"),
        "deadline_at": START + 60 * MINUTE,
        "estimate": {
            "setup_seconds": 20.0,
            "training_seconds": 1200.0,
            "validation_seconds": 240.0,
            "checkpoint_seconds": 0.0,
            "teardown_seconds": 40.0,
            "cost_usd": 0.5,
            "scenarios": {"expected": {"stop_step": 3000}},
        },
        "infra": "local",
        "gpus": "A100-80GB:1",
    }
    return RunRecord(**(given | changes))


def status(**changes: Any) -> Status:
    """Ten minutes into the run, at step 1,000."""
    given: dict[str, Any] = {
        "run": "kalevala-1",
        "claim": 1,
        "phase": Phase.TRAINING,
        "step": 1000,
        "max_steps": 3000,
        "loss": 4.25,
        "validation_value": 4.5,
        "best_step": 900,
        "best_value": 4.4,
        "seconds_per_step": 0.4,
        "eta_seconds": 900.0,
        "started_at": START,
        "updated_at": START + 10 * MINUTE,
        "deadline_at": START + 60 * MINUTE,
        "last_committed_step": 1000,
    }
    return Status(**(given | changes))


def result(**changes: Any) -> Result:
    """Stopped early at step 1,400, whose best is 900, after 20 minutes."""
    given: dict[str, Any] = {
        "run": "kalevala-1",
        "stop_reason": StopReason.EARLY_STOPPING,
        "step": 1400,
        "best_step": 900,
        "best_value": 4.4,
        "monitor": "val/loss",
        "kept_steps": (900, 1300, 1400),
        "phase_seconds": {
            "setup": 25.0,
            "training": 560.0,
            "validation": 112.0,
            "checkpoint": 3.0,
            "teardown": 1.5,
        },
        "samples_seen": 11200,
        "claims": 1,
        "started_at": START + MINUTE / 6,
        "ended_at": START + 20 * MINUTE,
        "initial_validation_value": 6.1,
    }
    return Result(**(given | changes))


def manifest(step: int, value: float | None, **changes: Any) -> Manifest:
    """A committed checkpoint of 47 MB."""
    file = ManifestFile(name="adapter_model.safetensors", size_bytes=47_000_000, sha256=DIGEST)
    given: dict[str, Any] = {
        "run": "kalevala-1",
        "claim": 1,
        "step": step,
        "id": f"{step:08x}",
        "created_at": START,
        "config_digest": DIGEST,
        "base_model_digest": DIGEST,
        "monitor": "val/loss",
        "mode": "min",
        "value": value,
        "files": (file,),
    }
    return Manifest(**(given | changes))


STEP = {
    "seconds": 0.4,
    "data_seconds": 0.004,
    "forward_seconds": 0.12,
    "loss_seconds": 0.03,
    "backward_seconds": 0.2,
    "optimizer_seconds": 0.02,
    "logging_seconds": 0.001,
    "tokens_per_second": 8000.0,
    "padding_share": 0.125,
    "mfu": 0.41,
    "memory_peak_bytes": 21e9,
}
SLOW_STEP = {**STEP, "seconds": 40.0, "forward_seconds": 39.0}


def metrics() -> list[MetricRow]:
    """Loss by step, with a check every 100 that is best at 900."""
    rows = [
        MetricRow(
            step=step,
            kind="train",
            values={"loss": 4 + 6 * math.exp(-step / 300), **(STEP if step > 1 else SLOW_STEP)},
            at=START,
        )
        for step in range(1, 1401)
    ]
    for step in range(0, 1401, 100):
        loss = 4.4 + abs(step - 900) / 500
        values = {
            "loss": loss,
            "token_loss": loss - 2,
            "code_loss": 2.0,
            "top5_accuracy": 0.3 + step / 10_000,
        }
        rows.append(MetricRow(step=step, kind="validation", values=values, at=START))
    return rows
