"""Sets up a run: data, base model and adapter, then the checkpoint to resume from."""

from __future__ import annotations

import os
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import torch

from fintts_cost.pace.eta import EtaMeter
from fintts_cost.training.loss_levels import uniform_guess
from fintts_inputs.base_model.adapter import (
    check_initial_adapter,
    of_other_prompt,
)
from fintts_inputs.base_model.families import read_config
from fintts_inputs.base_model.fish.config import FISH
from fintts_inputs.config import PLACES
from fintts_inputs.prompts import of_another_prompt, prompt_begun_with
from fintts_inputs.rules import rule_of, schedule_of
from fintts_trainer.checkpoint import LoopState
from fintts_trainer.data.open import open_encoded, open_feed
from fintts_trainer.data.pack_of_run import PackOfRun
from fintts_trainer.families import open_configured
from fintts_trainer.forecast.forecaster import Forecaster
from fintts_trainer.forecast.replanner import replanner_of
from fintts_trainer.loop.step_clock import StepClock, matmul_peak
from fintts_trainer.loop.step_queue import ON_A_GPU, StepQueue
from fintts_trainer.loop.training import Training
from fintts_trainer.machine.allocator import keep_freed_memory
from fintts_trainer.machine.capacity import check_disk, fit_into_memory
from fintts_trainer.machine.device_notes import device_notes, unfused_note
from fintts_trainer.machine.gpu_meter import GpuMeter, start_measuring
from fintts_trainer.model.compiled import compile_as_configured
from fintts_trainer.model.flat_adapter import FlatAdapter
from fintts_trainer.model.fused_layers import fuse_layers, make_room
from fintts_trainer.model.lora import add_adapter, read_adapter, trainable
from fintts_trainer.model.recompute import recompute_layers
from fintts_trainer.processes.hang_limits import (
    LEAST_SECONDS,
    UNMEASURED_SECONDS,
    load_limit,
)
from fintts_trainer.resume import resume
from fintts_trainer.samples.open import open_samples
from fintts_trainer.session.deadline import Pace, measured
from fintts_trainer.session.job import fetch_base_model, fetch_initial_adapter
from fintts_trainer.session.session import StoreSession
from fintts_trainer.tracking.tracker import ProcessTracker, TrackedRun

if TYPE_CHECKING:
    from peft import PeftModel

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.config import LoraConfig, RunConfig
    from fintts_trainer.data.feed import Feed
    from fintts_trainer.families.base import BaseModel
    from fintts_trainer.forecast.replanner import Replanner
    from fintts_trainer.processes.world import World
    from fintts_trainer.scoring.open import Measures
    from fintts_trainer.session.session import Session

STEPS_FOR_MEDIAN = 101


def set_up(session: Session, world: World, measures: Measures | None = None) -> Training:
    """Sets up data, base model and adapter; then restores the newest checkpoint, or measures the
    losses before training.

    Raises:
        InputError, TrainerError: data, base model, disk or configuration do not allow the run.
        StoreError: a file could not be fetched.
    """
    with session.clock.spend("setup"):
        training = _build(session, world, measures)
        resume(training)
        if isinstance(session, StoreSession):
            session.clock.add(training.state.phase_seconds)
            session.pace.earlier = _earlier_pace(training)
            check_disk(training)
        session.progress.begin("trying a step", UNMEASURED_SECONDS, "setup")
        fit_into_memory(training)
        if training.state.initial_validation is None:
            _measure_untrained(training)
        world.start_trackers(_trackers(session))
        if isinstance(session, StoreSession):
            training.replanner = _replanner(training)
        if isinstance(session, StoreSession) and session.config.early_stopping.enabled:
            training.forecaster = _forecaster(training)
            training.forecast_stop()  # a resumed run knows its earlier checks
            session.change_status(stop_forecast=training.stop_forecast())
    return training


def _build(session: Session, world: World, measures: Measures | None) -> Training:
    """Everything except the state: base model, data, adapter and optimizer."""
    config = session.config
    session.progress.begin("fetching the base model", LEAST_SECONDS, "setup")
    base = _base_model(session)
    source = PackOfRun(session.job, session.record, session.progress)
    feed = open_feed(open_encoded(session, base, source), config, world)
    if world.device.type == "cpu":
        _prepare_cpu(session)
    size_bytes = sum(file.size_bytes for file in session.record.base_model.files)
    session.progress.begin("loading the base model", load_limit(size_bytes), "setup")
    dtype = _base_type(config, world.device)
    model = _adapted(session, base, dtype)
    unfused = fuse_layers(model)
    longest = int(feed.dataset.lengths.max())
    for sentence in (*unfused_note(unfused), *device_notes(world.device, dtype, longest)):
        session.log(sentence)
    if config.training.gradient_checkpointing and not recompute_layers(model):
        session.log("training.gradient_checkpointing has no effect: the model has no such layers")
    model.to(world.device)
    if world.device.type == "cuda":
        make_room(model)
    is_compiled = compile_as_configured(
        model,
        config.training.compile,
        world.device.type,
        session.log,
        partial(_report, session),
    )
    adapter = FlatAdapter(model, config.training.learning_rate)
    _log_sizes(session, world, base.shape, feed, model)
    samples = None
    if isinstance(session, StoreSession):
        # before a step is tried, since the codec takes memory, too
        samples = open_samples(session, world, base, source, measures, is_compiled=is_compiled)
    return Training(
        session=session,
        world=world,
        model=model,
        adapter=adapter,
        feed=feed,
        schedule=schedule_of(config, len(feed.training)),
        rule=rule_of(config),
        state=LoopState(),
        eta=EtaMeter(),
        shape=base.shape,
        prompt=base.prompt,
        step_clock=StepClock(world.device),
        gpu_meter=_gpu_meter_of(world.device),
        is_compiled=is_compiled,
        queue=StepQueue(
            ON_A_GPU if world.device.type == "cuda" else 0,
            lambda: session.clock.seconds["training"],
        ),
        step_seconds=deque(maxlen=STEPS_FOR_MEDIAN),
        peak_flops=_peak_of(session, world, dtype),
        samples=samples,
    )


def _gpu_meter_of(device: torch.device) -> GpuMeter:
    """The meter of how busy the device is; on a CPU it never has a sample."""
    if device.type != "cuda":
        return GpuMeter()
    from fintts_trainer.machine.nvml import sampler_of  # a CPU has no driver

    return start_measuring(sampler_of(str(torch.cuda.get_device_properties(device).uuid)))


def _forecaster(training: Training) -> Forecaster:
    seed = training.config.training.seed
    return Forecaster(training.rule, training.schedule, seed, training.session.log)


def _trackers(session: Session) -> list[ProcessTracker]:
    """The trackers that the launch named, for the first process."""
    if not isinstance(session, StoreSession):
        return []
    job = session.job
    config = session.config.model_dump(mode="json", exclude=PLACES)
    config["base_model"] = session.record.base_model.name
    tracked = TrackedRun(job.run, job.store.url, config, job.workspace / "trackers")
    return [ProcessTracker(kind, tracked, session.log) for kind in job.trackers]


def _replanner(training: Training) -> Replanner:
    config, log = training.config, training.session.log
    seed, fewest = config.training.seed, config.replan.min_checks
    return replanner_of(training.feed, training.schedule, seed, fewest, log)


def _adapted(session: Session, base: BaseModel, dtype: torch.dtype) -> PeftModel:
    """The frozen base model with the adapter that the run starts from."""
    model = add_adapter(
        base.load(dtype),
        base.targets,
        session.config.lora,
        base_name=session.record.base_model.name,
        seed=session.config.training.seed,
    )
    if session.record.initial_adapter is not None:
        _read_initial_adapter(session, base, model)
    return model


def _log_sizes(
    session: Session, world: World, shape: ModelShape, feed: Feed, model: PeftModel
) -> None:
    adapted = sum(p.numel() for p in trainable(model).values())
    session.log(
        f"{len(feed.training):,} utterances to train on, {len(feed.held_out):,} held out; "
        f"adapter of {adapted:,} parameters{_beside_reference(shape, session.config.lora)} "
        f"on {shape.parameters:,} frozen ones; {_where(world)}"
    )
    guess = sum(map(uniform_guess, shape.choices.values()))
    session.log(f"a uniform guess has loss {guess:.3f}")


def _base_model(session: Session) -> BaseModel:
    """The base model with the prompt of the run's first steps."""
    config = read_config(fetch_base_model(session.job, session.record, session.progress.sign))
    begun = prompt_begun_with(session.record.prompt, config.shape.prompts)
    if (sentence := of_another_prompt(begun, config.shape.prompt)) is not None:
        session.log(sentence)
    return open_configured(config, begun)


def _read_initial_adapter(session: Session, base: BaseModel, model: PeftModel) -> None:
    """Reads the weights of another run's adapter, or an imported one, in place of B = 0."""
    folder = fetch_initial_adapter(session.job, session.record, session.progress.sign)
    check_initial_adapter(folder, base.shape, session.config.lora)
    if (sentence := of_other_prompt(folder, base.prompt, base.shape.prompts)) is not None:
        session.log(sentence)
    read_adapter(model, folder)


def _report(session: Session, sentence: str) -> None:
    """Writes to the log, and to the status that `ps` and `watch` show."""
    session.log(sentence)
    session.change_status(message=sentence)


def _where(world: World) -> str:
    """The devices of the run."""
    return str(world.device) if world.size == 1 else f"{world.size} × {world.device.type}"


def _peak_of(session: Session, world: World, dtype: torch.dtype) -> float:
    """The peak of all devices together, measured at the same time, as in training."""
    peaks = world.collected(matmul_peak(world.device, dtype))
    session.log(f"large matrix products run at {sum(peaks) / 1e12:.3g} TFLOP/s here ({dtype})")
    return sum(peaks)


def _beside_reference(shape: ModelShape, lora: LoraConfig) -> str:
    """The count of Fish Speech's own trainer, which differs from ours."""
    fused = shape.fused_lora_parameters(lora.rank, lora.targets)
    return (
        f" ({fused:,} with the reference trainer's fused matrices)" if shape.family == FISH else ""
    )


def _prepare_cpu(session: Session) -> None:
    _leave_a_core()
    if not keep_freed_memory():
        session.log(
            "this machine's C library returns freed memory to the system, which slows steps down"
        )


def _leave_a_core() -> None:
    """Uses one thread fewer than cores, unless OMP_NUM_THREADS is set.

    OpenMP's threads spin while they wait for each other: sharing one core with the uploader or a
    terminal made training 7 times slower than leaving that core free.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))


def _base_type(config: RunConfig, device: torch.device) -> torch.dtype:
    wanted = config.training.precision
    if wanted == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return torch.float32 if wanted == "fp32" else torch.bfloat16


def _earlier_pace(training: Training) -> Pace:
    """The average seconds of a step and of a check in earlier jobs."""
    state, schedule = training.state, training.schedule
    checks = schedule.validation_checks(state.step)
    stepping, checking = (state.phase_seconds.get(p, 0.0) for p in ("training", "validation"))
    return Pace(
        step=stepping / state.step if state.step else None,
        check=checking / checks if checks else None,
    )


def _measure_untrained(training: Training) -> None:
    """Measures the validation loss before training, which training must improve."""
    training.session.progress.begin("validating before training", UNMEASURED_SECONDS, "setup")
    with measured(training.session.pace.checks):
        means = training.evaluate()
    training.eta = training.eta.after_check(training.session.pace.checks[-1])
    training.state.initial_validation = means
    training.session.add_metrics(0, "validation", means)
    training.session.log(
        f"before training: validation loss {means['loss']:.4f}, "
        f"top-5 accuracy {means['top5_accuracy']:.3f}"
    )
