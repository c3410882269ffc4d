"""When a run speaks: at its start and at checks, as long as the deadline allows."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from fintts_inputs.config import MEASURED_BY
from fintts_store.runs.records import Phase
from fintts_trainer.processes.hang_limits import LEAST_SECONDS
from fintts_trainer.samples.limits import Limits
from fintts_trainer.session.deadline import SLACK
from fintts_trainer.session.session import StoreSession

if TYPE_CHECKING:
    from collections.abc import Generator

    from fintts_trainer.loop.training import Training
    from fintts_trainer.scoring.scorer import Scores
    from fintts_trainer.session.preemption import Preemption


class Watched(NamedTuple):
    """The value that early stopping watches, measured on samples.

    Attributes:
        value: None if it is missing.
        is_interrupted: whether the run must end before it is known.
    """

    value: float | None
    is_interrupted: bool = False


def begin_samples(training: Training, preemption: Preemption) -> None:
    """Lets recordings and base model speak, and measures them, unless an earlier job did."""
    state = training.state
    is_measured = state.initial_scores is not None
    with _limits(training, preemption) as limits:
        if limits is None or training.samples is None:
            return
        store = training.session.job.store
        found = training.samples.begin(store, training.model, limits, is_measured=is_measured)
    if found is None or is_measured or training.samples.scorer is None:
        return
    state.initial_scores = found
    _tell(training, 0, found)


def speak_if_due(training: Training, preemption: Preemption) -> None:
    """Lets the adapter speak after a check, or after each Nth, unless the check itself did."""
    step, schedule, config = training.state.step, training.schedule, training.config
    is_due = schedule.is_validation(step) and not (
        schedule.validation_checks(step) % config.samples.every
    )
    if is_due and not config.early_stopping.watches_samples:
        _speak(training, preemption)


def watched_value(training: Training, preemption: Preemption) -> Watched:
    """Lets the adapter speak, for the value that early stopping watches; all processes get it."""
    monitor = training.config.early_stopping.monitor
    assert monitor in MEASURED_BY
    scores = _speak(training, preemption)
    mine = Watched(None, is_interrupted=True)
    if scores is not None:
        mine = Watched(scores.get(monitor.removeprefix("eval/")))
    return training.world.from_first(mine)


def _speak(training: Training, preemption: Preemption) -> Scores | None:
    """What was measured; None if the run must end first."""
    step, scores = training.state.step, None
    with _limits(training, preemption) as limits:
        if limits is None or training.samples is None:
            return {}
        scores = training.samples.at_step(training.model, step, limits)
    if scores:
        _tell(training, step, scores)
    return scores


def _tell(training: Training, step: int, scores: Scores) -> None:
    """Writes what was measured into metrics, TensorBoard and the log."""
    if not scores:
        return
    training.session.add_metrics(step, "eval", scores)
    named = {f"eval/{name}": value for name, value in scores.items()}
    training.world.accelerator.log(named, step)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in named.items())
    training.session.log(f"step {step}: {shown}")


@contextmanager
def _limits(training: Training, preemption: Preemption) -> Generator[Limits | None]:
    """The limits of what is spoken now; None if nothing may be."""
    session, config = training.session, training.config.samples
    if not config.is_on:
        yield None
        return
    # The other processes wait for the first one.
    session.progress.begin("speaking samples", LEAST_SECONDS + config.seconds_a_check, "samples")
    if training.samples is None or not isinstance(session, StoreSession):
        yield None
        return
    heartbeat = session.heartbeat
    usable = session.usable_seconds() / SLACK
    heartbeat.change(phase=Phase.VALIDATING)
    with session.clock.spend("samples"):
        yield Limits(
            time.monotonic() + min(config.seconds_a_check, usable),
            lambda: preemption.is_requested or heartbeat.stop_requested,
            session.progress.sign,
            by_deadline=usable < config.seconds_a_check,
        )
    heartbeat.change(phase=Phase.TRAINING)
