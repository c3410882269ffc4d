"""The run, from data to result: set up, then step, validate, save until there is a reason to end.

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
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_store.runs.runs import read_result, write_result_once
from fintts_trainer.data.prefetch import prefetched
from fintts_trainer.machine.capacity import full_disk_told
from fintts_trainer.machine.card import card_here
from fintts_trainer.model.lora import trainable
from fintts_trainer.processes.hang_limits import LAST_WORDS_SECONDS, save_limit, upload_limit
from fintts_trainer.processes.progress import ProgressFile
from fintts_trainer.processes.random_state import random_state
from fintts_trainer.processes.world import World
from fintts_trainer.session.deadline import measured
from fintts_trainer.session.heartbeat import bring_home_tensorboard
from fintts_trainer.session.late_start import begins_too_late, end_unbegun
from fintts_trainer.session.left_behind import forget, remember
from fintts_trainer.session.preemption import GRACE_SECONDS
from fintts_trainer.session.session import FrontDesk, open_desk, tell
from fintts_trainer.session.wall_clock import told
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
    from fintts_trainer.setup import Bench
    from fintts_trainer.step_clock import StepClock

    Reason = StopReason | Literal["preempted"]

PREEMPTED: Literal["preempted"] = "preempted"
REASONS: tuple[Reason, ...] = (
    PREEMPTED,
    StopReason.REQUESTED,
    StopReason.DEADLINE,
    StopReason.MAX_STEPS,
    StopReason.EARLY_STOPPING,
)
"""to end at a step boundary; where there are several, the later one here counts"""


def train(job: Job, preemption: Preemption) -> Result | None:
    """Runs the job to its end and writes result.json; None if it was preempted before that.

    With several processes all of them call it; what the first one returns is the job's.

    Raises:
        InputError, TrainerError, StoreError: the run cannot go on; what was committed stays.
    """
    ended = read_result(job.store, job.run)
    if ended is not None:
        return ended  # a recovered instance may come up when all is done
    progress = ProgressFile.from_environment()
    world = World.join(job.workspace)
    desk = open_desk(job, progress, is_first=world.is_first, card=card_here(world))
    if world.is_first_here:
        desk.heed_notices(preemption)
    if world.highest(int(begins_too_late(desk))):
        return end_unbegun(desk) if isinstance(desk, FrontDesk) else None
    try:
        with full_disk_told(job.workspace):
            bench = set_up(desk, world)
            reason = train_on(bench, preemption)
        if isinstance(desk, FrontDesk):
            return finish(bench, desk, reason, preemption)
        world.leave()
        return None
    except BaseException as error:
        desk.give_up(error)
        raise


def train_on(bench: Bench, preemption: Preemption) -> Reason:
    """Steps, validates and saves until there is a reason to end."""
    bench.desk.change_status(phase=Phase.TRAINING, step=bench.state.step)
    saved_step, value = bench.state.step, None
    reason = why_end(bench, preemption)
    # Where the data go on from follows from the step alone.
    with prefetched(bench.feed.steps(bench.state.step, bench.schedule.max_steps)) as steps:
        while reason is None:
            loss = take_step(bench, steps)
            if not math.isfinite(loss):
                return StopReason.NAN_LOSS
            value = validate(bench) if bench.schedule.is_validation(bench.state.step) else None
            if is_worth_saving(bench):
                save(bench, value, preemption)
                saved_step = bench.state.step
            reason = why_end(bench, preemption)
    if saved_step != bench.state.step:
        save(bench, value, preemption)
    return reason


def why_end(bench: Bench, preemption: Preemption) -> Reason | None:
    """The reason to end at this step boundary, or None to go on; the same for all processes."""
    bench.desk.check_uploads()
    mine = why_this_process_ends(bench, preemption)
    weight = 0 if mine is None else 1 + REASONS.index(mine)
    heaviest = bench.world.highest(weight)
    return REASONS[heaviest - 1] if heaviest else None


def why_this_process_ends(bench: Bench, preemption: Preemption) -> Reason | None:
    """The reason that this process knows: only the first one hears the clock and the user."""
    state = bench.state
    if bench.config.early_stopping.enabled and bench.rule.should_stop(state.early_stopping):
        return StopReason.EARLY_STOPPING
    if state.step >= bench.schedule.max_steps:
        return StopReason.MAX_STEPS
    return who_ends(bench, preemption)


def who_ends(bench: Bench, preemption: Preemption) -> Reason | None:
    """The reason that comes from outside, whatever the state of training."""
    next_has_check = bench.schedule.is_validation(bench.state.step + 1)
    asked = bench.desk.reason_to_end(has_check=next_has_check)
    if asked is not None:
        return asked
    return PREEMPTED if preemption.has_come else None


def take_step(bench: Bench, steps: Prefetched[StepData]) -> float:
    """One optimizer update over batch_size × gradient_accumulation samples; returns its loss.

    Each micro-batch is weighted by its share of the labels, so that the gradient is that of the
    whole batch however it is cut, and however many processes share it. NaN is returned, and no
    weight moved, when the loss or the gradient is not finite.
    """
    config, state, clock = bench.config.training, bench.state, bench.step_clock
    clock.begin(state.step)
    bench.tell_watchdog("training")
    with bench.desk.clock.spend("training") as spent:
        with clock.part("data"):
            data = next(steps)
        parameters = list(trainable(bench.model).values())
        losses = backward(bench, data)
        if bench.world.size > 1:
            with clock.part("exchange"):
                losses = StepLosses(*bench.world.add_up(losses))
                bench.world.add_up_gradients(parameters)
        with clock.part("optimizer"):
            norm = float(clip_grad_norm_(parameters, config.max_grad_norm))
            if not math.isfinite(losses.loss) or not math.isfinite(norm):
                return math.nan
            rate = learning_rate_at(config, state.step)
            for group in bench.optimizer.param_groups:
                group["lr"] = rate
            bench.optimizer.step()
            bench.optimizer.zero_grad()
    state.step += 1
    state.loss = losses.loss
    state.loss_sum += losses.loss
    state.loss_steps += 1
    values = {**losses._asdict(), "gradient_norm": norm, "learning_rate": rate}
    values["data_wait_seconds"] = steps.waited_seconds
    tell_step(bench, values | work_of(bench, data, spent.seconds), spent.seconds)
    return losses.loss


class StepLosses(NamedTuple):
    """Of the whole batch of a step, in nats: the sum, and its two parts."""

    loss: float
    token_loss: float
    code_loss: float


def backward(bench: Bench, data: StepData) -> StepLosses:
    """Adds up the gradients of this process's micro-batches; returns their part of the losses."""
    clock, token_total, code_total = bench.step_clock, 0.0, 0.0
    for batch in data.batches:
        bench.desk.progress.sign()
        with clock.part("data"):
            here = batch.to(bench.world.device)
        with clock.part("forward"):
            predictions: Predictions = bench.model(here)
        with clock.part("loss"):
            token_loss = predictions.token_loss() / data.label_count
            code_loss = predictions.code_loss() / data.code_count
        with clock.part("backward"):
            torch.autograd.backward(token_loss + code_loss)
        token_total += token_loss.item()
        code_total += code_loss.item()
    return StepLosses(token_total + code_total, token_total, code_total)


def work_of(bench: Bench, data: StepData, seconds: float) -> dict[str, float]:
    """How much a step has done, and how well it used the device.

    `tokens` are positions that are no padding; `mfu` counts the useful FLOPs of
    `ModelShape.training_flops` against the matrix products that were measured on this device.
    """
    flops = sum(
        bench.shape.training_flops(text, length - text)
        for length, text in zip(data.lengths.tolist(), data.text_lengths.tolist(), strict=True)
    )
    return {
        "tokens": data.tokens,
        "tokens_per_second": data.tokens / seconds,
        "padding_share": data.padding_share,
        "mfu": flops / seconds / bench.peak_flops,
        "memory_peak_bytes": memory_peak_bytes(bench.world.device),
        **parts_of(bench.step_clock),
    }


def parts_of(clock: StepClock) -> dict[str, float]:
    """Seconds by part, as the metrics name them."""
    return {f"{part}_seconds": seconds for part, seconds in clock.seconds.items()}


def learning_rate_at(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then constant; a pure function of the step, so resume cannot bend it."""
    return config.learning_rate * min(1.0, (step + 1) / max(config.warmup_steps, 1))


def tell_step(bench: Bench, values: dict[str, float], seconds: float) -> None:
    """Metrics, TensorBoard and the heartbeat of one step."""
    state = bench.state
    bench.eta = bench.eta.after_step(seconds)
    bench.desk.pace.steps.append(seconds)
    bench.step_seconds.append(seconds)
    with bench.step_clock.part("logging"):
        bench.world.accelerator.log(
            {f"train/{name}": value for name, value in values.items()}, state.step
        )
        bench.desk.change_status(
            step=state.step,
            loss=values["loss"],
            seconds_per_step=bench.eta.seconds_per_step,
            eta_seconds=bench.eta.eta_seconds(bench.schedule, state.step),
        )
    row = {**values, **parts_of(bench.step_clock), "seconds": seconds}
    bench.desk.add_metrics(state.step, "train", row)


def validate(bench: Bench) -> float:
    """Losses and accuracy on the held-out utterances; feeds the early-stopping rule.

    Returns the monitored value of this check.
    """
    desk, state = bench.desk, bench.state
    desk.change_status(phase=Phase.VALIDATING)
    bench.tell_watchdog("validation")
    with desk.clock.spend("validation") as spent:
        means = bench.evaluate()
    bench.eta = bench.eta.after_check(spent.seconds)
    desk.pace.checks.append(spent.seconds)
    train_loss = state.loss_sum / state.loss_steps
    state.loss_sum, state.loss_steps = 0.0, 0
    monitored = {
        "val/loss": means["loss"],
        "val/top5_accuracy": means["top5_accuracy"],
        "train/loss": train_loss,
    }
    value = monitored[bench.config.early_stopping.monitor]
    state.early_stopping = bench.rule.check(state.early_stopping, state.step, value)
    tell_check(bench, means, train_loss, value)
    return value


def tell_check(bench: Bench, means: dict[str, float], train_loss: float, value: float) -> None:
    """Metrics, TensorBoard, heartbeat and log of one validation check."""
    desk, progress, step = bench.desk, bench.state.early_stopping, bench.state.step
    desk.add_metrics(step, "validation", {**means, "train_loss": train_loss})
    bench.world.accelerator.log({f"val/{name}": mean for name, mean in means.items()}, step)
    desk.change_status(
        phase=Phase.TRAINING,
        validation_value=value,
        best_step=progress.best_step,
        best_value=progress.best_value,
    )
    desk.tell(
        f"step {step}: validation loss {means['loss']:.4f} (token {means['token_loss']:.4f}, "
        f"code {means['code_loss']:.4f}), top-5 accuracy {means['top5_accuracy']:.3f}, "
        f"training loss {train_loss:.4f}: {verdict(bench.rule, progress, step)}"
    )


def verdict(rule: EarlyStopping, progress: Progress, step: int) -> str:
    """What a check means for the run, in words."""
    waiting = f"{progress.checks_without_improvement} of {rule.patience}"
    if progress.best_step != step:
        return f"no improvement, {waiting}"
    if progress.checks_without_improvement == 0:
        return "the best so far"
    return f"the best so far, by no more than min_delta {rule.min_delta:g}, {waiting}"


def is_worth_saving(bench: Bench) -> bool:
    """At the cadence of checkpoints, and at a new best between them: the best is to be kept."""
    step, progress = bench.state.step, bench.state.early_stopping
    is_best = bench.config.checkpoints.keep_best and progress.best_step == step
    return is_best or bench.schedule.is_checkpoint(step)


def save(bench: Bench, value: float | None, preemption: Preemption) -> None:
    """Writes a checkpoint to the disk and hands it to the uploader; the step goes on meanwhile.

    Only the first process writes. `value` is the monitored one of a check at this very step, None
    without one. With two uploads behind, it waits for the store, but not longer than the run may
    last.
    """
    desk, state = bench.desk, bench.state
    random_states = bench.world.collected(random_state())
    desk.progress.begin("saving", save_limit(desk.pace.pace.save), "checkpoint")
    if not isinstance(desk, FrontDesk):
        return
    desk.heartbeat.change(phase=Phase.SAVING)
    with desk.clock.spend("checkpoint"):
        folder = desk.local_checkpoint(state.step)
        forget(desk.job.workspace, state.step)
        with measured(desk.pace.saves), durable_directory(folder) as temporary:
            bench.write_checkpoint(temporary, random_states)
        facts = CheckpointFacts(
            step=state.step,
            config_digest=bench.config.digest(),
            base_model_digest=desk.record.base_model.digest,
            monitor=bench.config.early_stopping.monitor,
            mode=bench.rule.mode,
            value=value,
        )
        remember(desk.job.workspace, desk.record, facts, desk.metrics.pending)
        desk.uploader.submit(folder, facts, lambda: must_leave(bench, preemption))
    desk.heartbeat.change(phase=Phase.TRAINING)


def must_leave(bench: Bench, preemption: Preemption) -> bool:
    """Whether a save that waits for the store has to end; the store may well take hours."""
    bench.desk.progress.sign()
    return who_ends(bench, preemption) is not None


def finish(bench: Bench, desk: FrontDesk, reason: Reason, preemption: Preemption) -> Result | None:
    """Waits for the last upload within the grace, then writes why the run ended."""
    desk.heartbeat.change(phase=Phase.STOPPING)
    leaves_early = reason == PREEMPTED or preemption.has_come
    grace_seconds = (
        preemption.grace_seconds(datetime.now(UTC)) if leaves_early else desk.drain_seconds()
    )
    desk.progress.begin("uploading", upload_limit(grace_seconds), "teardown")
    with desk.clock.spend("teardown"):
        is_safe = desk.uploader.drain(grace_seconds)
        bench.world.leave()
    desk.progress.begin("telling how it ended", LAST_WORDS_SECONDS, "teardown")
    trouble = desk.uploader.trouble or StoreUnreachable(
        f"the last checkpoint could not be committed within {grace_seconds:.0f} s",
        "start the run again: it goes on from the newest committed checkpoint",
    )
    if reason == PREEMPTED:
        leave(desk, bench.state.step, None if is_safe else trouble, preemption)
        return None
    if not is_safe:
        raise trouble
    desk.uploader.close()
    desk.heartbeat.end(Phase.FAILED if reason == StopReason.NAN_LOSS else Phase.DONE)
    result = insist(lambda: bring_home(bench, desk, StopReason(reason)), GRACE_SECONDS)
    tell(f"ended at step {result.step}: {result.stop_reason}")
    return result


def leave(desk: FrontDesk, step: int, trouble: StoreError | None, preemption: Preemption) -> None:
    """The last words before a preemption; no store is worth being late, another job goes on."""
    lost = None
    if trouble is not None:
        lost = f"preempted at step {step}; its checkpoint is not committed: {trouble.message}"
    tell(lost or f"preempted at step {step}; all is saved")
    why = "preempted" if preemption.notice is None else str(preemption.notice)
    desk.heartbeat.change(message=lost or f"{why}; the next job goes on from here")
    desk.heartbeat.end(Phase.STOPPING)
    desk.uploader.close(timeout_seconds=0)
    if lost is None:  # else the next job takes these steps anew, and tells of them
        bring_last_curves(desk)
    preemption.stay(desk.tell)


def bring_last_curves(desk: FrontDesk) -> None:
    """What the last steps measured; no store is worth being late for it."""
    try:
        desk.metrics.flush()
        bring_home_tensorboard(desk.job.store, desk.job.run, desk.claim, desk.job.workspace)
    except StoreError as error:
        tell(f"the curves of the last steps stay behind: {error.message}")


def bring_home(bench: Bench, desk: FrontDesk, reason: StopReason) -> Result:
    """Brings everything but the checkpoints into the store, the result last; may be repeated.

    Raises:
        StoreError: something is not there yet.
    """
    desk.metrics.flush()
    bring_home_tensorboard(desk.job.store, desk.job.run, desk.claim, desk.job.workspace)
    result = result_of(bench, desk, reason)
    write_result_once(desk.job.store, result)
    return result


def passed_over(name: CommitName, error: StoreError) -> None:
    """A damaged manifest is no reason to end a run without its result."""
    tell(f"the checkpoint at step {name.step} is passed over: {error.message}")


def result_of(bench: Bench, desk: FrontDesk, reason: StopReason) -> Result:
    """What the run came to."""
    state = bench.state
    before = state.initial_validation
    kept = [m.step for m in list_manifests(desk.job.store, desk.job.run, on_unreadable=passed_over)]
    jump = desk.wall_clock.jump() if reason == StopReason.DEADLINE else None
    message = None if jump is None else told(jump)
    if reason == StopReason.NAN_LOSS:
        last = (
            f"the checkpoint at step {max(kept)} is the last good one" if kept else "none is kept"
        )
        message = (
            f"the loss after step {state.step} is not finite; {last}; "
            "begin a new run with a lower training.learning_rate"
        )
    return Result(
        run=desk.job.run,
        launch=desk.job.launch,
        stop_reason=reason,
        step=state.step,
        best_step=state.early_stopping.best_step,
        best_value=state.early_stopping.best_value,
        monitor=bench.config.early_stopping.monitor,
        kept_steps=tuple(sorted(kept)),
        phase_seconds=dict(desk.clock.seconds),
        samples_seen=bench.schedule.samples_seen(state.step),
        claims=desk.claim,
        started_at=desk.started_at,
        ended_at=datetime.now(UTC),
        initial_validation_value=None if before is None else before["loss"],
        message=message,
    )
