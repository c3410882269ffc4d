"""Notes on where the reference run's own account rounds or errs, with the right figures."""

from __future__ import annotations

from fintts_cost.estimate.result import estimate
from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.money import SECONDS_PER_HOUR
from fintts_cost.pace.flops import PAPER_MFU, seconds_per_step
from fintts_cost.reference.run import (
    MB,
    REFERENCE_CHECKPOINT_BYTES,
    REFERENCE_END,
    REFERENCE_HEADS,
    REFERENCE_LATE_LOSSES,
    REFERENCE_LOSSES,
    REFERENCE_PATIENCE,
    REFERENCE_RUN,
    REFERENCE_START,
    REFERENCE_STEP_SECONDS,
    reference_flops_per_step,
)
from fintts_cost.reference.tables import timeline
from fintts_cost.training.early_stopping import EarlyStopping


def reference_notes() -> tuple[str, ...]:
    """The notes; every figure in them is computed."""
    return (
        _cost(),
        _stop(),
        _clock(),
        f"The reference run watched {REFERENCE_RUN.monitor}, which cannot see overfitting; "
        "fintts watches val/loss unless told otherwise.",
        _peak(),
        _step(),
        _checkpoint(),
        _loss(),
    )


def _cost() -> str:
    expected = estimate(REFERENCE_RUN).expected
    validation = expected.durations.validation_seconds / SECONDS_PER_HOUR
    total = expected.total_seconds / SECONDS_PER_HOUR
    rounded = round(expected.durations.training_seconds / SECONDS_PER_HOUR, 1) + round(
        validation, 1
    )
    cost = rounded * expected.price.hourly_rate_usd
    return (
        f"Rounding {validation:.4f} h of validation to {validation:.1f} h gives {rounded} h and "
        f"${cost:.2f}; exactly it is {total:.4f} h and ${expected.cost_usd_to_cent}."
    )


def _stop() -> str:
    rule = EarlyStopping(patience=REFERENCE_PATIENCE)
    progress = rule.start()
    step = 0
    for step, loss in REFERENCE_LATE_LOSSES.items():
        progress = rule.check(progress, step, loss)
        if rule.should_stop(progress):
            break
    return (
        f"At step {REFERENCE_RUN.stop_step:,} the loss still fell, so the rule could not stop "
        f"there: it fires at {step:,}, beyond max steps, with the best at {progress.best_step:,}."
    )


def _clock() -> str:
    last = timeline()[-1]
    began, ended, counted = (
        moment.time().isoformat("minutes")
        for moment in (REFERENCE_START, REFERENCE_END, last.clock)
    )
    return (
        f"The account has step {last.step:,} at {ended}; {began} and its own seconds give "
        f"{counted}."
    )


def _peak() -> str:
    storage = estimate(REFERENCE_RUN).storage
    return (
        f"A peak of {storage.bytes_without_rotation / MB / 1000:.1f} GB is the one without "
        f"rotation; with it the peak is {storage.bytes_at_peak // MB} MB."
    )


def _step() -> str:
    parts = " + ".join(f"{name} {seconds}" for name, seconds in REFERENCE_STEP_SECONDS.items())
    flops = reference_flops_per_step()
    on_paper = seconds_per_step(flops, ACCELERATORS["A100-80GB"])
    return (
        f"One step: {parts} = {sum(REFERENCE_STEP_SECONDS.values())} s. On paper, "
        f"{flops / 1e12:.1f} TFLOP at {PAPER_MFU:.0%} of an A100 take {on_paper:.3f} s."
    )


def _checkpoint() -> str:
    parts = " + ".join(f"{size / MB:.1f}" for size in REFERENCE_CHECKPOINT_BYTES.values())
    return f"One checkpoint: {parts} = {sum(REFERENCE_CHECKPOINT_BYTES.values()) / MB:.1f} MB."


def _loss() -> str:
    first, last = REFERENCE_LOSSES[0], REFERENCE_LOSSES[REFERENCE_RUN.stop_step]
    codebook = REFERENCE_HEADS[-1]
    return (
        f"The loss went from {first} to {last}, above the {codebook.uniform_guess:.2f} of a "
        f"uniform guess over {codebook.classes:,} codes: it is the sum of two heads, and "
        f"exp(-{last}) is no probability of being right."
    )
