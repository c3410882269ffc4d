"""A step of training: the gradients of its micro-batches, the update, and the log of both.

A GPU works behind the CPU that queues its work. The CPU waits for it only to read the losses, and
does so one step later, when they have long been computed; before a check or a save it reads all.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from fintts_store.runs.records import Work
from fintts_trainer.loop.step_clock import memory_peak_bytes
from fintts_trainer.loop.step_queue import QueuedStep
from fintts_trainer.machine.readings import Readings
from fintts_trainer.session.session import StoreSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from fintts_inputs.config import TrainingConfig
    from fintts_trainer.data.feed import StepData
    from fintts_trainer.data.prefetch import Prefetched
    from fintts_trainer.families.base import Predictions
    from fintts_trainer.loop.step_clock import StepClock
    from fintts_trainer.loop.step_queue import FinishedStep
    from fintts_trainer.loop.training import Training
    from fintts_trainer.model.flat_adapter import FlatAdapter


def take_step(training: Training, steps: Prefetched[StepData]) -> bool:
    """One optimizer update over batch_size × gradient_accumulation samples.

    Each micro-batch is weighted by its share of the labels, so the gradient is that of the whole
    batch for any micro-batches and any number of processes.

    Returns:
        As `read_steps`.
    """
    training.report_to_watchdog("training")
    # what lies between two steps, such as logging, is part of the second one
    with training.session.clock.spend("training", since_last=True):
        training.queue.add(queue_step(training, steps))
        training.state.step += 1
    return read_steps(training, unread=unread_steps(training))


def unread_steps(training: Training) -> int:
    """How many of the queued steps may stay unread: none before a check or a save."""
    step, schedule = training.state.step, training.schedule
    is_due = schedule.is_validation(step) or schedule.is_checkpoint(step)
    return 0 if is_due else training.queue.most_unread


def read_steps(training: Training, unread: int = 0) -> bool:
    """Waits for the queued steps except for the newest `unread` ones, and logs them.

    Returns:
        Whether all losses and gradients are finite. Otherwise `state.step` is the last step before
        the first that is not, which has changed no weight; a later one may have.
    """
    while len(training.queue) > unread:
        with training.session.clock.spend("training"):
            training.queue.wait()
        step = training.queue.pop()
        if not step.is_finite:
            training.state.step = step.queued.number
            training.queue.clear()
            return False
        log_step(training, step)
    return True


def queue_step(training: Training, steps: Prefetched[StepData]) -> QueuedStep:
    """Queues forward, backward and update; on a CPU they are finished then."""
    config, state, clock = training.config.training, training.state, training.step_clock
    began = training.queue.spent()
    clock.begin(state.step)
    # a thread made the batch during the last step
    with clock.part("data"):
        data = next(steps)
    # forward and backward, one micro-batch after the other
    adapter, world = training.adapter, training.world
    losses = backward(
        training.model, adapter, data, world.device, clock, training.session.progress.sign
    )
    # with several processes: add up losses and gradients of all shares
    if world.size > 1:
        with clock.part("exchange"):
            world.add_up_in_place(losses)
            world.add_up_in_place(adapter.gradient)
    # clip, and update the adapter, unless that would fill it with NaN
    rate = learning_rate_at(config, state.step)
    with clock.part("optimizer"):
        norm = adapter.update(rate, config.max_grad_norm, losses)
    readings = Readings(torch.cat([losses, norm.to(losses.dtype)[None]]))
    return QueuedStep(state.step, data, readings, rate, steps.waited_seconds, clock.seconds, began)


def backward(
    model: nn.Module,
    adapter: FlatAdapter,
    data: StepData,
    device: torch.device,
    clock: StepClock,
    sign: Callable[[], object],
) -> Tensor:
    """Accumulates the gradients of this process's micro-batches.

    Args:
        sign: is called before each micro-batch.

    Returns:
        This process's share of the token and of the code loss, float64 [2] on the device.
    """
    totals = torch.zeros(2, dtype=torch.float64, device=device)
    for batch in data.batches:
        sign()
        with clock.part("data"):
            here = batch.to(device)
        with clock.part("forward"):
            predictions: Predictions = model(here)
        with clock.part("loss"):
            losses = mean_losses(predictions, data.label_count, data.code_count)
        with clock.part("backward"):
            torch.autograd.backward(losses)
            adapter.collect()
        for total, loss in zip(totals, losses, strict=False):
            total += loss.detach()
    return totals


def mean_losses(predictions: Predictions, label_count: int, code_count: int) -> list[Tensor]:
    """The token loss and, with a second network, the code loss: each a share of the step's mean."""
    totals = predictions.losses()
    losses = [totals["token"].total / label_count]
    return [*losses, totals["code"].total / code_count] if "code" in totals else losses


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
    }


def learning_rate_at(config: TrainingConfig, step: int) -> float:
    """The learning rate after `step` finished steps: linear warm-up, then constant."""
    return config.learning_rate * min(1.0, (step + 1) / max(config.warmup_steps, 1))


def log_step(training: Training, step: FinishedStep) -> None:
    """Writes metrics, TensorBoard and heartbeat of one step."""
    state, done, seconds = training.state, step.queued.number + 1, step.seconds
    # the next validation check reports the mean of these as training loss
    state.loss = step.loss
    state.loss_sum += step.loss
    state.loss_steps += 1
    values = {
        **step.losses(),
        "gradient_norm": step.norm,
        "learning_rate": step.queued.rate,
        "data_wait_seconds": step.queued.waited_seconds,
        **work_of(training, step.queued.data, seconds),
        **in_metrics(step.queued.parts),
    }
    training.eta = training.eta.after_step(seconds)
    training.session.pace.steps.append(seconds)
    training.step_seconds.append(seconds)
    training.note_step(int(values["tokens"]), seconds)
    eta_seconds = training.eta.eta_seconds(training.schedule, done)
    started = time.monotonic()
    training.world.accelerator.log({f"train/{name}": one for name, one in values.items()}, done)
    training.session.change_status(
        step=done,
        loss=step.loss,
        seconds_per_step=training.eta.seconds_per_step,
        eta_seconds=eta_seconds,
        stop_forecast=training.stop_forecast(),
        work=Work.model_validate(values),
    )
    notify_step(training, done, eta_seconds)
    logging = in_metrics({"logging": time.monotonic() - started} if step.queued.parts else {})
    training.session.add_metrics(done, "train", {**values, **logging, "seconds": seconds})


def in_metrics(parts: dict[str, float]) -> dict[str, float]:
    """Seconds by part, under the names of the metrics."""
    return {f"{part}_seconds": seconds for part, seconds in parts.items()}


def notify_step(training: Training, step: int, eta_seconds: float | None) -> None:
    """Sends the notifications that are due after a step."""
    session, schedule = training.session, training.schedule
    if isinstance(session, StoreSession):
        session.notifications.after_step(
            step, schedule.max_steps, eta_seconds, session.wall_clock.now()
        )
