"""Runs the training from data to result: set up, then step, validate and save until the end.

Read `train` first; what it calls follows in that order.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch.nn.utils import clip_grad_norm_

from fintts_store.checkpoints.commit import CheckpointFacts, list_manifests
from fintts_store.disk.durable import durable_directory
from fintts_store.errors import StoreError, StoreUnreachable
from fintts_store.retrying import insist
from fintts_store.runs.end_run import end_run, kept_steps
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_store.runs.runs import read_result
from fintts_trainer.data.prefetch import prefetched
from fintts_trainer.machine.capacity import full_disk_explained
from fintts_trainer.machine.card import card_here
from fintts_trainer.model.lora import trainable
from fintts_trainer.processes.hang_limits import LAST_WORDS_SECONDS, save_limit, upload_limit
from fintts_trainer.processes.progress import ProgressFile
from fintts_trainer.processes.random_state import random_state
from fintts_trainer.processes.world import World
from fintts_trainer.session.deadline import measured
from fintts_trainer.session.late_start import begins_too_late, end_unbegun
from fintts_trainer.session.left_behind import forget, remember
from fintts_trainer.session.metrics import upload_tensorboard
from fintts_trainer.session.preemption import GRACE_SECONDS
from fintts_trainer.session.session import StoreSession, log, open_session
from fintts_trainer.setup import set_up
from fintts_trainer.step_clock import memory_peak_bytes

if TYPE_CHECKING:
    from fintts_cost.early_stopping import EarlyStopping, Progress
    from fintts_inputs.config import TrainingConfig
    from fintts_store.layout import CommitName
    from fintts_trainer.data.feed import StepData
    from fintts_trainer.data.prefetch import Prefetched
    from fintts_trainer.families.base import Predictions
    from fintts_trainer.session.job import Job
    from fintts_trainer.session.preemption import Preemption
    from fintts_trainer.step_clock import StepClock
    from fintts_trainer.training import Training

    Reason = StopReason | Literal["preempted"]

PREEMPTED: Literal["preempted"] = "preempted"
REASONS: tuple[Reason, ...] = (
    PREEMPTED,
    StopReason.REQUESTED,
    StopReason.DEADLINE,
    StopReason.MAX_STEPS,
    StopReason.EARLY_STOPPING,
)
"""for ending at a step boundary; the last one here wins"""


def train(job: Job, preemption: Preemption) -> Result | None:
    """Runs the job to its end and writes result.json; None if it was preempted first.

    Every process calls it; the first one's result is the job's.

    Raises:
        InputError, TrainerError, StoreError: the run cannot go on; what was committed stays.
    """
    ended = read_result(job.store, job.run)
    if ended is not None:
        return ended  # a recovered instance may come up after the run's end
    progress = ProgressFile.from_environment()
    world = World.join(job.workspace)
    session = open_session(job, progress, is_first=world.is_first, card=card_here(world))
    if world.is_first_here:
        session.heed_notices(preemption)
    if world.highest(int(begins_too_late(session))):
        return end_unbegun(session) if isinstance(session, StoreSession) else None
    try:
        with full_disk_explained(job.workspace):
            training = set_up(session, world)
            reason = train_on(training, preemption)
        if isinstance(session, StoreSession):
            return finish(training, session, reason, preemption)
        world.leave()
        return None
    except BaseException as error:
        session.give_up(error)
        raise


def train_on(training: Training, preemption: Preemption) -> Reason:
    """Steps, validates and saves until there is a reason to end."""
    state, schedule = training.state, training.schedule
    training.session.change_status(phase=Phase.TRAINING, step=state.step)
    saved_step, value = state.step, None
    reason = why_end(training, preemption)
    # A resumed run needs no position in the data: it follows from the step.
    with prefetched(training.feed.steps(state.step, schedule.max_steps)) as steps:
        while reason is None:
            loss = take_step(training, steps)
            if not math.isfinite(loss):
                return StopReason.NAN_LOSS
            # once in a while: validate, which may stop the run early
            value = validate(training) if schedule.is_validation(state.step) else None
            # once in a while, and at a new best: save
            if is_worth_saving(training):
                save(training, value, preemption)
                saved_step = state.step
            reason = why_end(training, preemption)
    # however the run ends, its last step is saved
    if saved_step != state.step:
        save(training, value, preemption)
    return reason


def why_end(training: Training, preemption: Preemption) -> Reason | None:
    """The reason to end at this step boundary, or None; the same in all processes."""
    training.session.check_uploads()
    mine = why_this_process_ends(training, preemption)
    weight = 0 if mine is None else 1 + REASONS.index(mine)
    heaviest = training.world.highest(weight)
    return REASONS[heaviest - 1] if heaviest else None


def why_this_process_ends(training: Training, preemption: Preemption) -> Reason | None:
    """The reason that this process knows: only the first one checks the clock and the user."""
    state = training.state
    if training.config.early_stopping.enabled and training.rule.should_stop(state.early_stopping):
        return StopReason.EARLY_STOPPING
    if state.step >= training.schedule.max_steps:
        return StopReason.MAX_STEPS
    return who_ends(training, preemption)


def who_ends(training: Training, preemption: Preemption) -> Reason | None:
    """The external reason: the deadline, the user or a preemption."""
    next_has_check = training.schedule.is_validation(training.state.step + 1)
    asked = training.session.reason_to_end(has_check=next_has_check)
    if asked is not None:
        return asked
    return PREEMPTED if preemption.has_come else None


def take_step(training: Training, steps: Prefetched[StepData]) -> float:
    """One optimizer update over batch_size × gradient_accumulation samples; returns its loss.

    Each micro-batch is weighted by its share of the labels, so the gradient is that of the whole
    batch for any micro-batches and any number of processes. If the loss or the gradient is not
    finite, it returns NaN and changes no weight.
    """
    config, state, clock = training.config.training, training.state, training.step_clock
    clock.begin(state.step)
    training.tell_watchdog("training")
    with training.session.clock.spend("training") as spent:
        # the batch was made while the last step ran
        with clock.part("data"):
            data = next(steps)
        # forward and backward, one micro-batch after the other
        parameters = list(trainable(training.model).values())
        losses = backward(training, data)
        # with several processes: add up what each of them found in its share
        if training.world.size > 1:
            with clock.part("exchange"):
                losses = StepLosses(*training.world.add_up(losses))
                training.world.add_up_gradients(parameters)
        # update the adapter, unless that would fill it with NaN
        with clock.part("optimizer"):
            norm = float(clip_grad_norm_(parameters, config.max_grad_norm))
            if not math.isfinite(losses.loss) or not math.isfinite(norm):
                return math.nan
            rate = learning_rate_at(config, state.step)
            for group in training.optimizer.param_groups:
                group["lr"] = rate
            training.optimizer.step()
            training.optimizer.zero_grad()
    state.step += 1
    # the mean since the last check is the training loss that this check reports
    state.loss = losses.loss
    state.loss_sum += losses.loss
    state.loss_steps += 1
    # log: metrics, TensorBoard, heartbeat
    values = {**losses.of_heads(data), "gradient_norm": norm, "learning_rate": rate}
    values["data_wait_seconds"] = steps.waited_seconds
    log_step(training, values | work_of(training, data, spent.seconds), spent.seconds)
    return losses.loss


class StepLosses(NamedTuple):
    """The losses of a step's whole batch, in nats: the sum, and its parts by head."""

    loss: float
    token_loss: float
    code_loss: float
    """0 without a second network"""

    def of_heads(self, data: StepData) -> dict[str, float]:
        """The losses by name, without a head that the model lacks."""
        values = self._asdict()
        return values if data.code_count else {k: v for k, v in values.items() if k != "code_loss"}


def backward(training: Training, data: StepData) -> StepLosses:
    """Adds up the gradients of this process's micro-batches; returns their part of the losses."""
    clock, totals = training.step_clock, {"token": 0.0, "code": 0.0}
    counts = {"token": data.label_count, "code": data.code_count}
    for batch in data.batches:
        training.session.progress.sign()
        with clock.part("data"):
            here = batch.to(training.world.device)
        with clock.part("forward"):
            predictions: Predictions = training.model(here)
        with clock.part("loss"):
            losses = {
                head: loss.total / counts[head] for head, loss in predictions.losses().items()
            }
        with clock.part("backward"):
            torch.autograd.backward(list(losses.values()))
        for head, loss in losses.items():
            totals[head] += loss.item()
    return StepLosses(sum(totals.values()), totals["token"], totals["code"])


def work_of(training: Training, data: StepData, seconds: float) -> dict[str, float]:
    """The work of a step, and how well it used the device.

    `tokens` are positions without padding; `mfu` is the useful FLOPs of
    `ModelShape.training_flops` over the matrix products measured on this device.
    """
    flops = sum(
        training.shape.training_flops(text, length - text)
        for length, text in zip(data.lengths.tolist(), data.text_lengths.tolist(), strict=True)
    )
    return {
        "tokens": data.tokens,
        "tokens_per_second": data.tokens / seconds,
        "padding_share": data.padding_share,
        "mfu": flops / seconds / training.peak_flops,
        "memory_peak_bytes": memory_peak_bytes(training.world.device),
        **parts_of(training.step_clock),
    }


def parts_of(clock: StepClock) -> dict[str, float]:
    """Seconds by part, as the metrics name them."""
    return {f"{part}_seconds": seconds for part, seconds in clock.seconds.items()}


def learning_rate_at(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then constant; a pure function of the step, so resuming keeps it."""
    return config.learning_rate * min(1.0, (step + 1) / max(config.warmup_steps, 1))


def log_step(training: Training, values: dict[str, float], seconds: float) -> None:
    """Writes metrics, TensorBoard and heartbeat of one step."""
    state = training.state
    training.eta = training.eta.after_step(seconds)
    training.session.pace.steps.append(seconds)
    training.step_seconds.append(seconds)
    with training.step_clock.part("logging"):
        training.world.accelerator.log(
            {f"train/{name}": value for name, value in values.items()}, state.step
        )
        training.session.change_status(
            step=state.step,
            loss=values["loss"],
            seconds_per_step=training.eta.seconds_per_step,
            eta_seconds=training.eta.eta_seconds(training.schedule, state.step),
            stop_forecast=training.stop_forecast(),
        )
    row = {**values, **parts_of(training.step_clock), "seconds": seconds}
    training.session.add_metrics(state.step, "train", row)


def validate(training: Training) -> float:
    """Measures losses and accuracy on the held-out utterances; updates early stopping.

    Returns the monitored value of this check.
    """
    session, state = training.session, training.state
    session.change_status(phase=Phase.VALIDATING)
    training.tell_watchdog("validation")
    with session.clock.spend("validation") as spent:
        means = training.evaluate()
    training.eta = training.eta.after_check(spent.seconds)
    session.pace.checks.append(spent.seconds)
    train_loss = state.loss_sum / state.loss_steps
    state.loss_sum, state.loss_steps = 0.0, 0
    monitored = {
        "val/loss": means["loss"],
        "val/top5_accuracy": means["top5_accuracy"],
        "train/loss": train_loss,
    }
    value = monitored[training.config.early_stopping.monitor]
    state.early_stopping = training.rule.check(state.early_stopping, state.step, value)
    state.note_check(value)
    log_check(training, means, train_loss, value)
    return value


def log_check(training: Training, means: dict[str, float], train_loss: float, value: float) -> None:
    """Writes metrics, TensorBoard, heartbeat and log of one validation check."""
    session, progress, step = training.session, training.state.early_stopping, training.state.step
    session.add_metrics(step, "validation", {**means, "train_loss": train_loss})
    training.world.accelerator.log({f"val/{name}": mean for name, mean in means.items()}, step)
    training.forecast_stop()
    session.change_status(
        phase=Phase.TRAINING,
        validation_value=value,
        best_step=progress.best_step,
        best_value=progress.best_value,
        stop_forecast=training.stop_forecast(),
    )
    heads = ", ".join(f"{head} {means[f'{head}_loss']:.4f}" for head in training.shape.choices)
    session.log(
        f"step {step}: validation loss {means['loss']:.4f} ({heads}), "
        f"top-5 accuracy {means['top5_accuracy']:.3f}, "
        f"training loss {train_loss:.4f}: {verdict(training.rule, progress, step)}"
    )


def verdict(rule: EarlyStopping, progress: Progress, step: int) -> str:
    """The result of a check in words."""
    waiting = f"{progress.checks_without_improvement} of {rule.patience}"
    if progress.best_step != step:
        return f"no improvement, {waiting}"
    if progress.checks_without_improvement == 0:
        return "the best so far"
    return f"the best so far, by no more than min_delta {rule.min_delta:g}, {waiting}"


def is_worth_saving(training: Training) -> bool:
    """Whether a checkpoint is due, or a check between two of them found a new best."""
    step, progress = training.state.step, training.state.early_stopping
    is_best = training.config.checkpoints.keep_best and progress.best_step == step
    return is_best or training.schedule.is_checkpoint(step)


def save(training: Training, value: float | None, preemption: Preemption) -> None:
    """Writes a checkpoint to the disk and queues its upload; training continues during it.

    Only the first process writes. `value` is the monitored one of a check at this step, None
    without one. With two uploads pending, it waits for the store, at most until the run must end.
    """
    session, state = training.session, training.state
    random_states = training.world.collected(random_state())
    session.progress.begin("saving", save_limit(session.pace.pace.save), "checkpoint")
    if not isinstance(session, StoreSession):
        return
    session.heartbeat.change(phase=Phase.SAVING)
    with session.clock.spend("checkpoint"):
        folder = session.local_checkpoint(state.step)
        forget(session.job.workspace, state.step)
        with measured(session.pace.saves), durable_directory(folder) as temporary:
            training.write_checkpoint(temporary, random_states)
        facts = CheckpointFacts(
            step=state.step,
            config_digest=training.config.digest(),
            base_model_digest=session.record.base_model.digest,
            monitor=training.config.early_stopping.monitor,
            mode=training.rule.mode,
            value=value,
        )
        remember(session.job.workspace, session.record, facts, session.metrics.pending)
        session.uploader.submit(folder, facts, lambda: must_leave(training, preemption))
    session.heartbeat.change(phase=Phase.TRAINING)


def must_leave(training: Training, preemption: Preemption) -> bool:
    """Whether a save must stop waiting for the store, which may take hours."""
    training.session.progress.sign()
    return who_ends(training, preemption) is not None


def finish(
    training: Training, session: StoreSession, reason: Reason, preemption: Preemption
) -> Result | None:
    """Waits for the last upload within the grace, then writes why the run ended."""
    session.heartbeat.change(phase=Phase.STOPPING)
    leaves_early = reason == PREEMPTED or preemption.has_come
    grace_seconds = (
        preemption.grace_seconds(datetime.now(UTC)) if leaves_early else session.drain_seconds()
    )
    session.progress.begin("uploading", upload_limit(grace_seconds), "teardown")
    with session.clock.spend("teardown"):
        is_safe = session.uploader.drain(grace_seconds)
        training.world.leave()
    session.progress.begin("writing how it ended", LAST_WORDS_SECONDS, "teardown")
    trouble = session.uploader.trouble or StoreUnreachable(
        f"the last checkpoint could not be committed within {grace_seconds:.0f} s",
        "start the run again: it goes on from the newest committed checkpoint, if any",
    )
    if reason == PREEMPTED:
        leave(session, training.state.step, None if is_safe else trouble, preemption)
        return None
    if not is_safe:
        raise trouble
    session.uploader.close()
    session.heartbeat.end(Phase.FAILED if reason == StopReason.NAN_LOSS else Phase.DONE)
    result = insist(lambda: write_outcome(training, session, StopReason(reason)), GRACE_SECONDS)
    log(f"ended at step {result.step}: {result.stop_reason}")
    return result


def leave(
    session: StoreSession, step: int, trouble: StoreError | None, preemption: Preemption
) -> None:
    """Ends this job in time for a preemption, even if the store is slow: another job continues."""
    lost = None
    if trouble is not None:
        lost = f"preempted at step {step}; its checkpoint is not committed: {trouble.message}"
    log(lost or f"preempted at step {step}; all is saved")
    why = "preempted" if preemption.notice is None else str(preemption.notice)
    session.heartbeat.change(message=lost or f"{why}; the next job goes on from here")
    session.heartbeat.end(Phase.STOPPING)
    session.uploader.close(timeout_seconds=0)
    if lost is None:  # otherwise the next job repeats these steps, and reports them
        upload_last_curves(session)
    preemption.stay(session.log)


def upload_last_curves(session: StoreSession) -> None:
    """Uploads the last steps' measurements in one try: a preemption does not wait."""
    try:
        session.metrics.flush()
        upload_tensorboard(session.job.store, session.job.run, session.claim, session.job.workspace)
    except StoreError as error:
        log(f"the curves of the last steps stay behind: {error.message}")


def write_outcome(training: Training, session: StoreSession, reason: StopReason) -> Result:
    """Uploads the curves and then writes the result; may be repeated.

    Raises:
        StoreError: a file is not in the store yet.
    """
    session.metrics.flush()
    upload_tensorboard(session.job.store, session.job.run, session.claim, session.job.workspace)
    result = result_of(training, session, reason)
    end_run(session.job.store, result)
    return result


def skip_damaged(name: CommitName, error: StoreError) -> None:
    """Logs a damaged manifest; the run gets its result without it."""
    log(f"the checkpoint at step {name.step} is skipped: {error.message}")


def result_of(training: Training, session: StoreSession, reason: StopReason) -> Result:
    """The run's result.json."""
    state = training.state
    before = state.initial_validation
    job = session.job
    kept = kept_steps(list_manifests(job.store, job.run, on_unreadable=skip_damaged))
    message = session.wall_clock.remark() if reason == StopReason.DEADLINE else None
    if reason == StopReason.NAN_LOSS:
        last = (
            f"the checkpoint at step {max(kept)} is the last good one" if kept else "none is kept"
        )
        message = (
            f"the loss after step {state.step} is not finite; {last}; "
            "begin a new run with a lower training.learning_rate"
        )
    return Result(
        run=session.job.run,
        launch=session.job.launch,
        stop_reason=reason,
        step=state.step,
        best_step=state.early_stopping.best_step,
        best_value=state.early_stopping.best_value,
        monitor=training.config.early_stopping.monitor,
        kept_steps=kept,
        phase_seconds=dict(session.clock.seconds),
        samples_seen=training.schedule.samples_seen(state.step),
        claims=session.claim,
        started_at=session.started_at,
        ended_at=session.wall_clock.now(),
        initial_validation_value=None if before is None else before["loss"],
        message=message,
    )
