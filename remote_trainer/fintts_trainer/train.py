"""The training loop: step, validate and save until there is a reason to end.

Read `train` first; the functions follow in the order in which it calls them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.utils import clip_grad_norm_

from fintts_store.checkpoints.commit import CheckpointFacts
from fintts_store.disk.durable import durable_directory
from fintts_store.runs.records import Phase, Result, StopReason, Work
from fintts_store.runs.runs import read_result
from fintts_trainer.data.prefetch import prefetched
from fintts_trainer.finish import finish
from fintts_trainer.machine.capacity import full_disk_explained
from fintts_trainer.machine.local_gpus import local_gpus
from fintts_trainer.model.lora import trainable
from fintts_trainer.processes.hang_limits import save_limit
from fintts_trainer.processes.progress import ProgressFile
from fintts_trainer.processes.random_state import random_state
from fintts_trainer.processes.world import World
from fintts_trainer.reasons import external_reason, reason_to_end
from fintts_trainer.samples.in_training import begin_samples, speak_if_due
from fintts_trainer.session.deadline import measured
from fintts_trainer.session.late_start import end_without_training, starts_too_late
from fintts_trainer.session.local_checkpoints import describe_local, remove_local
from fintts_trainer.session.session import StoreSession, open_session
from fintts_trainer.setup import set_up
from fintts_trainer.step_clock import memory_peak_bytes

if TYPE_CHECKING:
    from fintts_cost.training.early_stopping import EarlyStopping, Progress
    from fintts_inputs.config import TrainingConfig
    from fintts_trainer.data.feed import StepData
    from fintts_trainer.data.prefetch import Prefetched
    from fintts_trainer.families.base import Predictions
    from fintts_trainer.reasons import Reason
    from fintts_trainer.session.job import Job
    from fintts_trainer.session.preemption import Preemption
    from fintts_trainer.step_clock import StepClock
    from fintts_trainer.training import Training


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
        return end_without_training(session) if isinstance(session, StoreSession) else None
    try:
        with full_disk_explained(job.workspace):
            training = set_up(session, world)
            reason = train_on(training, preemption)
        if isinstance(session, StoreSession):
            return finish(training, session, reason, preemption)
        world.leave()
        return None
    except BaseException as error:
        session.report_failure(error)
        raise


def train_on(training: Training, preemption: Preemption) -> Reason:
    """Steps, validates and saves until there is a reason to end."""
    state, schedule = training.state, training.schedule
    training.session.change_status(phase=Phase.TRAINING, step=state.step)
    saved_step, value = state.step, None
    begin_samples(training, preemption)
    reason = reason_to_end(training, preemption)
    # A resumed run stores no position in the data: the step determines it.
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
            # once in a while: speak, so that a user can hear it
            speak_if_due(training, preemption)
            reason = reason_to_end(training, preemption)
    # however the run ends, its last step is saved
    if saved_step != state.step:
        save(training, value, preemption)
    return reason


def take_step(training: Training, steps: Prefetched[StepData]) -> float:
    """One optimizer update over batch_size × gradient_accumulation samples; returns its loss.

    Each micro-batch is weighted by its share of the labels, so the gradient is that of the whole
    batch for any micro-batches and any number of processes. It returns NaN and changes no weight
    if the loss or the gradient is not finite.
    """
    config, state, clock = training.config.training, training.state, training.step_clock
    clock.begin(state.step)
    training.report_to_watchdog("training")
    # what lies between two steps, such as logging, is part of the second one
    with training.session.clock.spend("training", since_last=True) as spent:
        # a thread made the batch during the last step
        with clock.part("data"):
            data = next(steps)
        # forward and backward, one micro-batch after the other
        parameters = list(trainable(training.model).values())
        losses = backward(training, data)
        # with several processes: add up losses and gradients of all shares
        if training.world.size > 1:
            with clock.part("exchange"):
                losses = StepLosses(*training.world.add_up(losses))
                training.world.add_up_gradients(parameters)
        # update the adapter, unless that would fill it with NaN (clipping as in arXiv:1211.5063)
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
    # the next validation check reports the mean of these as training loss
    state.loss = losses.loss
    state.loss_sum += losses.loss
    state.loss_steps += 1
    # log: metrics, TensorBoard, heartbeat
    values = {**losses.of_heads(data), "gradient_norm": norm, "learning_rate": rate}
    values["data_wait_seconds"] = steps.waited_seconds
    log_step(training, values | work_of(training, data, spent.seconds), spent.seconds)
    return losses.loss


class StepLosses(NamedTuple):
    """The mean losses over a step's batch, in nats: the sum of both heads, and each head's."""

    loss: float
    token_loss: float
    code_loss: float
    """0 without a second network"""

    def of_heads(self, data: StepData) -> dict[str, float]:
        """The losses by name, without the code loss for a model without a second network."""
        values = self._asdict()
        return values if data.code_count else {k: v for k, v in values.items() if k != "code_loss"}


def backward(training: Training, data: StepData) -> StepLosses:
    """Accumulates the gradients of this process's micro-batches; returns its share of the
    losses."""
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
    """The amount of work in a step, and the utilisation of the device.

    `tokens` are positions without padding. `mfu` is the model FLOPs utilisation of PaLM
    (arXiv:2204.02311, appendix B): the FLOPs of `ModelShape.training_flops` per second, divided by
    the measured peak of matrix products on this device.
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
        **training.gpu_meter.values(),
        **parts_of(training.step_clock),
    }


def parts_of(clock: StepClock) -> dict[str, float]:
    """Seconds by part, under the names of the metrics."""
    return {f"{part}_seconds": seconds for part, seconds in clock.seconds.items()}


def learning_rate_at(config: TrainingConfig, step: int) -> float:
    """The learning rate after `step` finished steps: linear warm-up, then constant."""
    return config.learning_rate * min(1.0, (step + 1) / max(config.warmup_steps, 1))


def log_step(training: Training, values: dict[str, float], seconds: float) -> None:
    """Writes metrics, TensorBoard and heartbeat of one step."""
    state = training.state
    training.eta = training.eta.after_step(seconds)
    training.session.pace.steps.append(seconds)
    training.step_seconds.append(seconds)
    training.note_step(int(values["tokens"]), seconds)
    eta_seconds = training.eta.eta_seconds(training.schedule, state.step)
    with training.step_clock.part("logging"):
        training.world.accelerator.log(
            {f"train/{name}": value for name, value in values.items()}, state.step
        )
        training.session.change_status(
            step=state.step,
            loss=values["loss"],
            seconds_per_step=training.eta.seconds_per_step,
            eta_seconds=eta_seconds,
            stop_forecast=training.stop_forecast(),
            work=Work.model_validate(values),
        )
        notify_step(training, eta_seconds)
    row = {**values, **parts_of(training.step_clock), "seconds": seconds}
    training.session.add_metrics(state.step, "train", row)


def notify_step(training: Training, eta_seconds: float | None) -> None:
    """Sends the notifications that are due after a step."""
    session, state, schedule = training.session, training.state, training.schedule
    if isinstance(session, StoreSession):
        session.notices.after_step(
            state.step, schedule.max_steps, eta_seconds, session.wall_clock.now()
        )


def validate(training: Training) -> float:
    """Measures losses and accuracy on the held-out utterances; updates early stopping.

    Returns the monitored value of this check.
    """
    session, state = training.session, training.state
    session.change_status(phase=Phase.VALIDATING)
    training.report_to_watchdog("validation")
    with session.clock.spend("validation") as spent:
        means = training.evaluate()
    training.eta = training.eta.after_check(spent.seconds + training.speaking_seconds)
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
        checks_without_improvement=progress.checks_without_improvement,
        stop_forecast=training.stop_forecast(),
    )
    if isinstance(session, StoreSession) and progress.best_step == step:
        monitor = training.config.early_stopping.monitor
        session.notices.new_best(step, monitor, value, session.wall_clock.now())
    heads = ", ".join(f"{head} {means[f'{head}_loss']:.4f}" for head in training.shape.choices)
    session.log(
        f"step {step}: validation loss {means['loss']:.4f} ({heads}), "
        f"top-5 accuracy {means['top5_accuracy']:.3f}, "
        f"training loss {train_loss:.4f}: {check_summary(training.rule, progress, step)}"
    )


def check_summary(rule: EarlyStopping, progress: Progress, step: int) -> str:
    """The result of a validation check, as a phrase for the log."""
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
