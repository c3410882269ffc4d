"""When a run speaks: at its start and after checks, as long as the deadline allows."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fintts_store.runs.records import Phase
from fintts_trainer.processes.hang_limits import LEAST_SECONDS
from fintts_trainer.samples.speaker import Limits
from fintts_trainer.session.deadline import SLACK
from fintts_trainer.session.session import StoreSession

if TYPE_CHECKING:
    from collections.abc import Generator

    from fintts_trainer.session.preemption import Preemption
    from fintts_trainer.training import Training


def begin_samples(training: Training, preemption: Preemption) -> None:
    """Lets recordings and base model speak, unless an earlier job did."""
    with _limits(training, preemption) as limits:
        if limits is not None and training.samples is not None:
            training.samples.begin(training.session.job.store, training.model, limits)


def speak_if_due(training: Training, preemption: Preemption) -> None:
    """Lets the adapter speak after a check, or after each Nth."""
    step, schedule = training.state.step, training.schedule
    checks = schedule.validation_checks(step)
    if not schedule.is_validation(step) or checks % training.config.samples.every:
        return
    with _limits(training, preemption) as limits:
        if limits is not None and training.samples is not None:
            training.samples.at_step(training.model, step, limits)


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
