"""The tables of the reference run: computed from what its user measured."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.estimate.result import estimate
from fintts_cost.money import SECONDS_PER_HOUR
from fintts_cost.reference.run import (
    REFERENCE_GPU_SHARES,
    REFERENCE_HEADS,
    REFERENCE_LATE_LOSSES,
    REFERENCE_LOSSES,
    REFERENCE_PATIENCE,
    REFERENCE_RUN,
    REFERENCE_START,
)
from fintts_cost.training.early_stopping import EarlyStopping

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

EXAMPLES = (0.9, 0.1)
"""probabilities of the right class, as the run's user chose them"""


class Moment(NamedTuple):
    """One step of the run."""

    clock: datetime
    step: int
    epoch: float
    loss: float
    checkpoint: str
    """kept, rotated away, or nothing"""


class Check(NamedTuple):
    """One line of the early-stopping table."""

    step: int
    loss: float
    best: float
    waiting: int
    """checks in a row without improvement"""
    stops: bool
    is_measured: bool


class Example(NamedTuple):
    """A probability of the right class, and its loss."""

    name: str
    probability: float
    loss: float


class GpuUse(NamedTuple):
    """How busy the GPU was."""

    training_hours: float
    validation_hours: float
    training_share: float
    validation_share: float
    mean_share: float
    memory_share: float


def timeline() -> list[Moment]:
    """Each step with a known loss: the clock counts its steps and the checks up to it."""
    kept = estimate(REFERENCE_RUN).storage.kept_steps
    return [_moment(step, loss, kept) for step, loss in REFERENCE_LOSSES.items()]


def _moment(step: int, loss: float, kept: Sequence[int]) -> Moment:
    spent = float(REFERENCE_RUN.durations(step).total_seconds)
    clock = REFERENCE_START + timedelta(seconds=spent)
    saved = "kept" if step in kept else "rotated away" if step else ""
    return Moment(clock, step, float(REFERENCE_RUN.schedule.epochs(step)), loss, saved)


def stopping_table() -> list[Check]:
    """The rule, check by check; the losses after the run's end are its user's assumption."""
    rule = EarlyStopping(patience=REFERENCE_PATIENCE)
    progress, rows = rule.start(), list[Check]()
    for step, loss in REFERENCE_LATE_LOSSES.items():
        progress = rule.check(progress, step, loss)
        best = math.nan if progress.best_value is None else progress.best_value
        waiting, stops = progress.checks_without_improvement, rule.should_stop(progress)
        is_measured = step <= REFERENCE_RUN.stop_step
        rows.append(Check(step, loss, best, waiting, stops, is_measured))
    return rows


def examples() -> list[Example]:
    """−ln p of some probabilities, and exp(−loss) of the run's losses."""
    given = [Example(f"p = {p:g}", p, -math.log(p)) for p in EXAMPLES]
    guesses = [
        Example(f"a uniform guess of the {head.name}", 1 / head.classes, head.uniform_guess)
        for head in REFERENCE_HEADS
    ]
    steps = (0, 300, 1500, REFERENCE_RUN.stop_step)
    seen = [
        Example(f"step {step:,}", math.exp(-REFERENCE_LOSSES[step]), REFERENCE_LOSSES[step])
        for step in steps
    ]
    return [*given, *guesses, *seen]


def gpu_use() -> GpuUse:
    """The shares that the run's user observed, weighted by the time of each part."""
    spent = estimate(REFERENCE_RUN).expected.durations
    training, checks = float(spent.training_seconds), float(spent.validation_seconds)
    shares = REFERENCE_GPU_SHARES
    busy = training * shares["training"] + checks * shares["validation"]
    peak, gpu = REFERENCE_RUN.measured_peak, REFERENCE_RUN.accelerator
    memory = 0.0 if peak is None or gpu is None else peak.peak_bytes / gpu.memory_bytes
    return GpuUse(
        training / SECONDS_PER_HOUR,
        checks / SECONDS_PER_HOUR,
        shares["training"],
        shares["validation"],
        busy / (training + checks),
        memory,
    )
