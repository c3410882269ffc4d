"""The training loop: step, validate and save until there is a reason to end.

Read `train` first; the functions follow in the order in which it calls them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_store.checkpoints.commit import CheckpointFacts
from fintts_store.disk.durable import durable_directory
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_store.runs.runs import read_result
from fintts_trainer.data.prefetch import prefetched
from fintts_trainer.loop.check import check, judge_samples
from fintts_trainer.loop.finish import end_preempted, finish
from fintts_trainer.loop.reasons import PREEMPTED, external_reason, reason_to_end
from fintts_trainer.loop.step import read_steps, take_step
from fintts_trainer.machine.capacity import full_disk_explained
from fintts_trainer.machine.local_gpus import local_gpus
from fintts_trainer.processes.hang_limits import save_limit
from fintts_trainer.processes.progress import ProgressFile
from fintts_trainer.processes.random_state import random_state
from fintts_trainer.processes.world import World
from fintts_trainer.recordings.stage import encode_recordings
from fintts_trainer.samples.in_training import begin_samples, speak_if_due
from fintts_trainer.samples.open import open_measures
from fintts_trainer.session.deadline import measured
from fintts_trainer.session.late_start import (
    end_too_late,
    end_without_training,
    starts_too_late,
)
from fintts_trainer.session.local_checkpoints import describe_local, remove_local
from fintts_trainer.session.session import StoreSession, open_session
from fintts_trainer.setup import set_up

if TYPE_CHECKING:
    from fintts_trainer.loop.reasons import Reason
    from fintts_trainer.loop.training import Training
    from fintts_trainer.recordings.stage import Early
    from fintts_trainer.session.job import Job
    from fintts_trainer.session.preemption import Preemption
    from fintts_trainer.session.session import Session


def train(job: Job, preemption: Preemption) -> Result | None:
    """Runs the job to its end and writes result.json; None if it was preempted first.

    Every process calls it; the first one's result is the job's.

    Raises:
        InputError, TrainerError, StoreError: the run cannot continue; committed checkpoints stay.
    """
    ended = read_result(job.store, job.run)
    if ended is not None:
        return ended  # a recovered instance may come up after the run's end
    progress = ProgressFile.from_environment()
    world = World.join(job.workspace)
    session = open_session(job, progress, is_first=world.is_first, gpus=local_gpus(world))
    if world.is_first_here:
        session.poll_spot_notices(preemption)
    if world.highest(int(starts_too_late(session))):
        return end_too_late(session) if isinstance(session, StoreSession) else None
    try:
        with full_disk_explained(job.workspace):
            measures = open_measures(session, world)
            session, early = encode_recordings(session, world, preemption)
            if early is not None:
                return end_while_encoding(session, world, early, preemption)
            training = set_up(session, world, measures)
            reason = train_on(training, preemption)
        if isinstance(session, StoreSession):
            return finish(training, session, reason, preemption)
        world.leave()
        return None
    except BaseException as error:
        session.report_failure(error)
        raise


def end_while_encoding(
    session: Session, world: World, early: Early, preemption: Preemption
) -> Result | None:
    """Ends a run whose recordings are not all encoded; what is encoded stays in the store."""
    world.leave()
    if not isinstance(session, StoreSession):
        return None
    if early.reason == PREEMPTED:
        end_preempted(session, 0, None, preemption, early.so_far)
        return None
    message = f"{early.so_far}; launch the run again, and it goes on from there"
    return end_without_training(session, StopReason(early.reason), message)


def train_on(training: Training, preemption: Preemption) -> Reason:
    """Steps, validates and saves until there is a reason to end."""
    state, schedule = training.state, training.schedule
    training.session.change_status(phase=Phase.TRAINING, step=state.step)
    saved_step, value = state.step, None
    begin_samples(training, preemption)
    is_left_over = state.unjudged_step == state.step
    if is_left_over:
        value = judge_samples(training, preemption)
        if state.unjudged_step is None:  # the verdict belongs to the checkpoint of this step
            save(training, value, preemption)
    reason = reason_to_end(training, preemption)
    # A resumed run stores no position in the data: the step determines it.
    with prefetched(training.feed.steps(state.step, schedule.max_steps)) as steps:
        while reason is None:
            if not take_step(training, steps):
                return StopReason.NAN_LOSS
            # once in a while: validate, which may stop the run early
            value = check(training, preemption) if schedule.is_validation(state.step) else None
            # once in a while, and at a new best: save
            if is_worth_saving(training):
                save(training, value, preemption)
                saved_step = state.step
            # once in a while: speak, so that a user can hear it, unless the check did
            speak_if_due(training, preemption)
            reason = reason_to_end(training, preemption)
    if not read_steps(training):
        return StopReason.NAN_LOSS
    # however the run ends, its last step is saved
    if saved_step != state.step:
        save(training, value, preemption)
    return reason


def is_worth_saving(training: Training) -> bool:
    """Whether a checkpoint is due, or a check between two of them found a new best."""
    step, progress = training.state.step, training.state.early_stopping
    is_best = training.config.checkpoints.keep_best and progress.best_step == step
    return is_best or training.schedule.is_checkpoint(step)


def save(training: Training, value: float | None, preemption: Preemption) -> None:
    """Writes a checkpoint to the disk and queues its upload; training continues during it.

    Only the first process writes. With two uploads pending, it waits for the store, but no longer
    than until the run must end.

    Args:
        value: the monitored value of a validation check at this step; None without a check.
    """
    session, state = training.session, training.state
    random_states = training.world.collected(random_state())
    session.progress.begin("saving", save_limit(session.pace.pace.save), "checkpoint")
    if not isinstance(session, StoreSession):
        return
    session.heartbeat.change(phase=Phase.SAVING)
    with session.clock.spend("checkpoint"):
        folder = session.local_checkpoint(state.step)
        remove_local(session.job.workspace, state.step)
        with measured(session.pace.saves), durable_directory(folder) as temporary:
            training.write_checkpoint(temporary, random_states)
        training.eta = training.eta.after_save(session.pace.saves[-1])
        facts = CheckpointFacts(
            step=state.step,
            config_digest=training.config.digest(),
            base_model_digest=session.record.base_model.digest,
            monitor=training.config.early_stopping.monitor,
            mode=training.rule.mode,
            value=value,
        )
        describe_local(session.job.workspace, session.record, facts, session.metrics.pending)
        session.uploader.submit(folder, facts, lambda: must_stop_waiting(training, preemption))
    session.heartbeat.change(phase=Phase.TRAINING)


def must_stop_waiting(training: Training, preemption: Preemption) -> bool:
    """Whether a save must stop waiting for the store, which may take hours."""
    training.session.progress.sign()
    return external_reason(training, preemption) is not None
