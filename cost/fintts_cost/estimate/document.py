"""An estimate as a JSON document for scripts: units in the names, plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fintts_cost.amounts import exact
from fintts_cost.money import cost_usd

if TYPE_CHECKING:
    from fintts_cost.estimate.bill import Bill
    from fintts_cost.estimate.result import Estimate

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"


def document(estimate: Estimate) -> dict[str, JsonValue]:
    """The document of `fintts estimate --json`; only cost_usd is rounded, to the cent."""
    return {
        **_work(estimate),
        **_seconds(estimate),
        **_money(estimate),
        "checkpoints": _checkpoints(estimate),
        "early_stopping": _early_stopping(estimate),
        "scenarios": {
            "earliest": _scenario(estimate.earliest),
            "expected": _scenario(estimate.expected),
            "worst": _scenario(estimate.worst),
        },
        "memory": _memory(estimate),
        "encoding": _encoding(estimate),
        "uniform_guess": {head.name: head.uniform_guess for head in estimate.given.heads},
    }


def _work(estimate: Estimate) -> dict[str, JsonValue]:
    schedule, steps = estimate.schedule, estimate.expected.stop_step
    return {
        "samples": schedule.samples,
        "batch_size": schedule.batch_size,
        "gradient_accumulation": schedule.gradient_accumulation,
        "max_steps": schedule.max_steps,
        "steps_per_epoch": schedule.steps_per_epoch,
        "epochs": float(schedule.epochs(steps)),
        "samples_seen": estimate.samples_seen,
        "validation_checks": schedule.validation_checks(steps),
        "seconds_per_step": {
            "value": float(estimate.given.seconds_per_step),
            "source": estimate.given.seconds_per_step_source,
        },
    }


def _seconds(estimate: Estimate) -> dict[str, JsonValue]:
    durations = estimate.expected.durations
    return {
        "setup_seconds": float(durations.setup_seconds),
        "training_seconds": float(durations.training_seconds),
        "validation_seconds": float(durations.validation_seconds),
        "checkpoint_seconds": float(durations.checkpoint_seconds),
        "teardown_seconds": float(durations.teardown_seconds),
        "samples_seconds": float(durations.samples_seconds),
        "encoding_seconds": float(durations.encoding_seconds),
        "total_seconds": float(durations.total_seconds),
    }


def _money(estimate: Estimate) -> dict[str, JsonValue]:
    price = estimate.expected.price
    return {
        "hourly_rate_usd": float(price.hourly_rate_usd),
        "price": {"source": price.source, "as_of": price.as_of},
        "cost_usd": float(estimate.expected.cost_usd_to_cent),
        "cost_per_unique_sample_usd": float(estimate.cost_per_unique_sample_usd),
        "cost_per_sample_seen_usd": float(estimate.cost_per_sample_seen_usd),
        "samples_per_second": float(estimate.samples_per_second),
    }


def _checkpoints(estimate: Estimate) -> JsonValue:
    storage = estimate.storage
    return {
        "written": storage.written,
        "removed": storage.removed,
        "kept_steps": list(storage.kept_steps),
        "bytes_each": storage.bytes_each,
        "bytes_at_end": storage.bytes_at_end,
        "bytes_at_peak": storage.bytes_at_peak,
        "bytes_at_peak_with_best": storage.bytes_with_best,
        "bytes_without_rotation": storage.bytes_without_rotation,
        "keep_last_alone_loses_best": estimate.keep_last_alone_loses_best,
    }


def _early_stopping(estimate: Estimate) -> JsonValue:
    saving = estimate.saving
    return {
        "monitor": estimate.given.monitor,
        "patience": estimate.given.patience,
        "saved_steps": saving.steps,
        "saved_training_seconds": float(saving.training_seconds),
        "saved_training_usd": float(saving.training_usd),
        "saved_seconds": float(saving.seconds),
        "saved_usd": float(saving.usd),
    }


def _encoding(estimate: Estimate) -> JsonValue:
    given = estimate.given
    if not given.encoding.high:
        return None
    return {
        "speech_seconds": given.speech_seconds,
        "seconds": {name: value for name, value in given.encoding.to_json().items()},
        "cost_usd": {
            name: float(cost_usd(exact(value), given.price.hourly_rate_usd))
            for name, value in given.encoding.to_json().items()
        },
        "source": given.encoding_source,
    }


def _scenario(bill: Bill) -> JsonValue:
    return {
        "stop_step": bill.stop_step,
        "total_seconds": float(bill.total_seconds),
        "cost_usd": float(bill.cost_usd_to_cent),
    }


def _memory(estimate: Estimate) -> JsonValue:
    given = estimate.given
    if given.memory is None:
        return None
    peak = given.measured_peak
    return {
        "batch_bytes": given.memory.batch_bytes(given.batch_size),
        "total_bytes": given.memory.total_bytes(given.batch_size),
        "calibrated": given.memory.calibrated,
        "measured_peak_bytes": None if peak is None else peak.peak_bytes,
    }
