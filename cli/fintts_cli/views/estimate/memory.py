"""The GPU memory of a run."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cli.views.estimate.layout import gigabytes, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_cost.estimate.result import Estimate
    from fintts_cost.gpus.memory import MemoryModel


def memory_models(estimate: Estimate) -> dict[str, MemoryModel]:
    """The available models of GPU memory, by a name that says how far to trust them."""
    model, peak = estimate.given.memory, estimate.given.measured_peak
    if model is None:
        return {}
    if model.calibrated:
        return {"calibrated": model}
    if peak is None:
        return {"uncalibrated": model}
    return {
        "uncalibrated": model,
        "calibrated": model.calibrate(peak.peak_bytes, peak.batch_size),
    }


def total_memory(estimate: Estimate, model: MemoryModel, batch_size: int) -> str:
    """The total memory, marked with ! if it exceeds the accelerator's."""
    total, accelerator = model.total_bytes(batch_size), estimate.given.accelerator
    too_much = accelerator is not None and total > accelerator.memory_bytes
    return f"{'! ' if too_much else ''}{gigabytes(total)}"


def memory_lines(estimate: Estimate) -> Iterator[str]:
    given, batch_size = estimate.given, estimate.given.batch_size
    for name, model in memory_models(estimate).items():
        batch = f"{batch_size:,} × {megabytes(model.sample_bytes)}"
        yield f"{name}: {batch} = {megabytes(model.batch_bytes(batch_size))} a batch,"
        fixed = gigabytes(model.fixed_bytes)
        yield f"  + {fixed} of weights, adapter, gradients and optimizer = " + gigabytes(
            model.total_bytes(batch_size)
        )
    yield from _measured(estimate)
    if given.memory is not None and not given.memory.calibrated:
        yield "uncalibrated means computed from sizes alone: expect a multiple of it"
    if given.accelerator is not None and given.memory is not None:
        yield f"! exceeds the {given.accelerator.memory_gb:g} GB of {given.accelerator.name}"


def _measured(estimate: Estimate) -> Iterator[str]:
    peak, accelerator = estimate.given.measured_peak, estimate.given.accelerator
    if peak is None:
        return
    share = ""
    if accelerator is not None:
        of_all = Decimal(peak.peak_bytes) / accelerator.memory_bytes
        share = f", {of_all:.0%} of {accelerator.memory_gb:g} GB"
    yield f"measured: {gigabytes(peak.peak_bytes)} at batch {peak.batch_size:,}{share}"
