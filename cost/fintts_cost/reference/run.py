"""A measured run: LoRA on a Finnish text-to-speech model on a rented A100-80GB.

`fintts estimate --reference-run` uses it as its profile, and tests check the arithmetic with it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fintts_cost.amounts import exact
from fintts_cost.estimate.inputs import EstimateInput
from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.gpus.memory import MeasuredPeak, MemoryModel
from fintts_cost.money import Price
from fintts_cost.pace.flops import attention_flops, flops_per_step
from fintts_cost.training.loss_levels import Head

if TYPE_CHECKING:
    from collections.abc import Mapping

MB = 10**6
GB = 10**9

REFERENCE_MEMORY = MemoryModel(
    weights_bytes=3500 * MB,
    adapter_bytes=500 * MB,
    gradient_bytes=500 * MB,
    optimizer_bytes=500 * MB,
    sample_bytes=(16 + 200) * MB,
)
"""As the run's user computed it: 16 MB of features and 200 MB of activations per sample."""

REFERENCE_HEADS = (Head("vocabulary", 155_776), Head("codebook", 4_096))

REFERENCE_PATIENCE = 5

REFERENCE_RUN = EstimateInput(
    samples=2000,
    batch_size=8,
    max_steps=3000,
    steps=2800,
    seconds_per_step=Decimal("5.4"),
    seconds_per_step_source="measured on the run",
    pace_kind="measured",
    validation_every=100,
    seconds_per_validation=30,
    checkpoint_every=100,
    checkpoint_bytes=47 * MB,
    keep_last=5,
    patience=REFERENCE_PATIENCE,
    monitor="train/loss",
    price=Price(Decimal("1.20")),
    memory=REFERENCE_MEMORY,
    measured_peak=MeasuredPeak(peak_bytes=55 * GB, batch_size=8),
    accelerator=ACCELERATORS["A100-80GB"],
    heads=REFERENCE_HEADS,
)


def changed_reference_run(changes: Mapping[str, Any]) -> EstimateInput:
    """The measured run with some values replaced; `hourly_rate_usd` replaces the price's."""
    given = dict(changes)
    if "hourly_rate_usd" in given:
        given["price"] = Price(exact(given.pop("hourly_rate_usd")))
    return replace(REFERENCE_RUN, **given)


REFERENCE_LOSSES: dict[int, float] = {
    0: 23.0,
    100: 18.5,
    200: 17.2,
    300: 16.8,
    1100: 14.1,
    1200: 13.9,
    1500: 13.6,
    2400: 13.2,
    2500: 13.15,
    2600: 13.1,
    2700: 13.05,
    2800: 13.0,
}
"""Training loss by step, the sum of both heads."""

REFERENCE_START = datetime(2025, 12, 1, 13, 4, tzinfo=UTC)
REFERENCE_END = datetime(2025, 12, 1, 17, 28, tzinfo=UTC)
"""the clock at step 0 and at the last step, in the user's account; their time zone is unknown"""
REFERENCE_GPU_SHARES = {"training": 1.0, "validation": 0.8}
"""how busy the GPU was"""

REFERENCE_LATE_LOSSES: dict[int, float] = {
    2300: 13.25,
    2400: 13.20,
    2500: 13.15,
    2600: 13.10,
    2700: 13.05,
    2800: 13.00,
    2900: 13.010,
    3000: 13.005,
    3100: 13.020,
    3200: 13.015,
    3300: 13.025,
}
"""What the run's user expected if it had continued after step 2,800."""

REFERENCE_STEP_SECONDS: dict[str, Decimal] = {
    "data loading": Decimal("0.5"),
    "forward": Decimal("2.0"),
    "loss": Decimal("0.1"),
    "backward": Decimal("2.5"),
    "optimizer": Decimal("0.2"),
    "logging": Decimal("0.1"),
}
"""The parts of a step's 5.4 s."""

REFERENCE_CHECKPOINT_BYTES: dict[str, int] = {
    "28 slow layers of 4 matrices": 28 * 4 * 100_000,
    "4 fast layers of 4 matrices": 4 * 4 * 100_000,
    "embeddings and heads": 10 * MB,
    "optimizer state": 22 * MB,
    "configuration, step, loss": 2 * MB,
}
"""The parts of a checkpoint's 47 MB, rounded as the user did."""


def reference_flops_per_step(
    batch_size: int = 8, *, text_tokens: int = 100, frames: int = 300
) -> int:
    """FLOPs of one step of OpenAudio S1-mini with a rank 8 adapter: 13.0 TFLOP by default.

    Only the frames and the end token need the text head; the fast stack runs over the 10 codebooks
    of each frame.
    """
    length, rows = text_tokens + frames, frames + 1
    slow = flops_per_step(frozen=28 * 15_728_640, trained=28 * 163_840, tokens=length)
    head = flops_per_step(frozen=155_776 * 1024, trained=1_254_400, tokens=rows)
    fast = flops_per_step(
        frozen=4 * 12_582_912 + 4096 * 1024,
        trained=4 * 139_264 + 40_960,
        tokens=frames * 10,
    )
    scores = attention_flops(layers=28, width=16 * 128, length=length)
    return batch_size * (slow + head + fast + scores)
